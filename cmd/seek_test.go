package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// A stopped pipeline is moved back, forward, by one partition and by time; the next
// run reads from there, and takes the commits as its own.
func TestSeek(t *testing.T) {
	t.Parallel()
	testSeek(t, bed{})
}

func testSeek(t *testing.T, b bed) {
	dir := t.TempDir()
	name := b.name("orders")
	b.create(t, 2, "orders")
	write(t, dir, "pipelines.yaml", b.blocks()+fmt.Sprintf(`topics: {%[1]s: {partitions: 2}}
pipelines: {%[1]s: {source: {topic: %[1]s, commit_interval: 100ms}, sinks: [{stdout: {}}], dead_letter: off, idempotency: {key: '${payload.order_id}'}}}
`, name))
	seek := func(code int, says string, args ...string) string {
		t.Helper()
		return told(t, dir, code, says, append([]string{"seek", name}, args...)...)
	}
	if len(b.brokers) == 0 {
		seek(1, "no broker runs, or ever ran", "--to", "earliest")
	}
	p := start(t, dir, "run")
	broker := p.broker()
	seek(1, "group", "--to", "latest", "--yes")
	put := func(partition int32, from, n int) {
		t.Helper()
		b.sendTo(t, broker, partition, b.orders(from, n))
	}
	put(0, 0, 10)
	put(1, 10, 4)
	p.await("all are delivered", func() bool { return len(p.lines()) == 14 })
	out := seek(1, fmt.Sprintf("group %q has 1 member, and Kafka moves no offsets under them", name), "--to", "earliest", "--yes")
	if strings.Contains(out, "moved") {
		t.Errorf("seek says\n%s", out)
	}
	_, _, errs := millrace(t, dir, "seek", name, "--to", "earliest", "--dry-run")
	if !strings.Contains(errs, "it would be refused now") || !strings.Contains(errs, "(millrace at 127.0.0.1") {
		t.Errorf("a dry run under members says\n%s", errs)
	}
	p.await("all is committed", func() bool { return p.status().Pipelines[0].Lag == 0 })
	middle := time.Now().UTC()
	time.Sleep(20 * time.Millisecond)
	put(0, 14, 3)
	p.await("all are delivered", func() bool { return len(p.lines()) == 17 })
	p.stop()

	table := seek(0, "nothing was moved", "--to", "earliest", "--dry-run")
	for _, want := range []string{"STANDS AT", "13         0            13 read again", "4 read again", "0 records would be left out, 17 read again"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	seek(2, "give --yes", "--to", "earliest")
	seek(0, "nothing to move: "+name+" stands there already", "--to", "latest")
	seek(0, "moved 1 partition; the next run of "+name+" reads from there", "--to", middle.Format(time.RFC3339Nano), "--yes")
	var answer struct {
		Moved      bool
		Partitions []struct {
			Topic     string
			Partition int32
			From, To  int64
			ReadAgain int64 `json:"read_again"`
			LeftOut   int64 `json:"left_out"`
		}
	}
	if err := json.Unmarshal([]byte(seek(0, "", "--at", name+"/1/1", "--at", name+"/0/earliest", "--yes", "--format", "json")), &answer); err != nil {
		t.Fatal(err)
	}
	if q := answer.Partitions; !answer.Moved || len(q) != 2 || q[0].From != 10 || q[0].ReadAgain != 10 || q[1].From != 4 || q[1].To != 1 || q[1].ReadAgain != 3 {
		t.Errorf("seek answers %+v", answer)
	}

	p = launch(t, dir, "run")
	p.await("what comes again is known by its key", func() bool {
		s, err := p.ask(t.Context())
		return err == nil && len(s.Pipelines) == 1 && s.Pipelines[0].Outcomes["duplicate"] == 16 && s.Ready
	})
	if n := len(p.lines()); n > 0 || strings.Contains(p.log(), "needs attention") || strings.Contains(p.log(), "lost its memory") {
		t.Errorf("%d effects again:\n%s", n, p.log())
	}
	p.stop()

	// Forward: what lies between is left out.
	seek(0, "moved 1 partition", "--at", name+"/0/11", "--yes")
	seek(0, "2 records would be left out, 0 read again", "--to", "latest", "--topic", name, "--yes")
	p = start(t, dir, "run")
	broker = p.broker()
	put(0, 17, 1)
	p.await("only what is new is delivered", func() bool { return len(p.lines()) == 1 })
	if o := p.status().Pipelines[0].Outcomes; o["duplicate"] > 0 {
		t.Errorf("outcomes %v", o)
	}
	p.stop()
}

// What can't be done is said in words that help, and nothing is moved.
func TestSeekBadInput(t *testing.T) {
	t.Parallel()
	testSeekBadInput(t, bed{})
}

func testSeekBadInput(t *testing.T, b bed) {
	dir := t.TempDir()
	name := b.name("orders")
	b.create(t, 2, "orders")
	write(t, dir, "pipelines.yaml", b.blocks()+fmt.Sprintf(`topics: {%[1]s: {partitions: 2}}
pipelines:
  %[1]s: {source: {topic: %[1]s, commit_interval: 100ms}, sinks: [{stdout: {}}], dead_letter: off}
  %[1]s-none: {source: {topic: %[1]s, start: latest}, sinks: [{stdout: {}}], dead_letter: off}
  %[1]s-missing: {source: {topic: %[1]s-missing}, sinks: [{stdout: {}}], dead_letter: off}
`, name))
	half := strings.ReplaceAll(b.blocks(), "idempotency", "#") + fmt.Sprintf(`topics: {%[1]s: {partitions: 2}}
pipelines: {%[1]s: {source: {topic: %[1]s, commit_interval: 100ms}, sinks: [{stdout: {}}], dead_letter: off}}
`, name)
	write(t, dir, "half.yaml", half)
	p := start(t, dir, "run", "-f", "half.yaml")
	b.sendTo(t, p.broker(), 0, b.orders(0, 10))
	p.await("all is committed", func() bool { s := p.status().Pipelines[0]; return len(p.lines()) == 10 && s.Lag == 0 })
	before := time.Now().UTC().Add(-time.Minute)
	p.stop()
	broker := ""
	if len(b.brokers) == 0 {
		broker = start(t, dir, "broker").broker()
	} else if err := b.admin(t, broker).SetTopicConfigs(t.Context(), name, map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err) // as the embedded broker's: with an age alone, a minute ago is certain to be there
	}
	cut(t, b, broker, name, 6)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "there is no pipeline \"" + name[:len(name)-1] + "\" (did you mean", []string{name[:len(name)-1], "--to", "latest"}},
		{2, "it takes one pipeline", nil},
		{2, "seek needs to know where to", []string{name}},
		{2, "seek needs to know where to", []string{name, "--to", "latest", "--at", name + "/0/1"}},
		{2, "is no time: write one such as", []string{name, "--to", "yesterday"}},
		{2, "lies in the future; --to latest goes to where the logs end now", []string{name, "--to", "2999-01-01"}},
		{2, "does not read topic", []string{name, "--to", "latest", "--topic", "other"}},
		{2, "it excludes --topic", []string{name, "--at", name + "/0/1", "--topic", name}},
		{2, "is named twice", []string{name, "--at", name + "/0/1", "--at", name + "/0/2"}},
		{2, "a record's place is topic/partition/offset", []string{name, "--at", name + "/x/1"}},
		{2, "has no partition 7: it has 2, from 0 on", []string{name, "--at", name + "/7/1"}},
		{2, "/0/5 is gone: the log begins at offset 6 (20", []string{name, "--at", name + "/0/5"}},
		{2, "/0/11 is not written yet: the log ends at offset 10", []string{name, "--at", name + "/0/11"}},
		{2, "may be gone from the log, which has " + name + "/0 from offset 6 (20", []string{name, "--to", before.Format(time.RFC3339)}},
		{1, "has committed nothing of " + name + " yet: nothing can be moved, and the first run of \"" + name + "-none\" begins there as its source.start says (latest)", []string{name + "-none", "--to", "earliest"}},
		{1, "does not exist yet", []string{name + "-missing", "--to", "earliest"}},
		{2, "nobody can answer here: give --yes", []string{name, "--to", "earliest"}},
		{2, "--format takes text or json", []string{name, "--to", "earliest", "--format", "xml"}},
	} {
		args := append([]string{"seek"}, c.args...)
		if c.code == 1 {
			args = append(args, "--yes")
		}
		told(t, dir, c.code, c.says, args...)
	}
	if at := b.commits(t, broker, name)[name]; at[0] != 10 {
		t.Errorf("the group has committed %v", at)
	}
	told(t, dir, 0, "4 read again", "seek", name, "--to", "earliest", "--dry-run")
	told(t, dir, 0, "moved 1 partition", "seek", name, "--to", "earliest", "--yes")
	if at := b.commits(t, broker, name)[name]; at[0] != 6 {
		t.Errorf("the group has committed %v", at)
	}
}

func (b bed) commits(t *testing.T, broker, group string) kafka.Offsets {
	t.Helper()
	at, err := b.admin(t, broker).Committed(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// cut deletes what partition 0 has before an offset, as retention does.
func cut(t *testing.T, b bed, broker, topic string, before int64) {
	t.Helper()
	brokers := b.brokers
	if len(brokers) == 0 {
		brokers = []string{broker}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, before, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
}

// sendTo writes records to one partition of a topic with two.
func (b bed) sendTo(t *testing.T, broker string, partition int32, records []*handlers.Record) {
	t.Helper()
	for i := range records {
		records[i].Key = keyFor(partition)
	}
	b.send(t, broker, records)
}

// keyFor is a key of the partition, of two.
func keyFor(partition int32) []byte {
	for i := 0; ; i++ {
		key := fmt.Append(nil, "k", i)
		if kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: key}, 2) == int(partition) {
			return key
		}
	}
}
