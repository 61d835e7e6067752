package cmd

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/rueidis"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/kafka"
)

const previewFile = `version: 1
%spipelines:
  %s:
    source: {topic: %s}
    filter: payload.status == "purchased"
    idempotency: {key: 'order:${payload.order_id}'}
    sinks:
      - http: {url: '%s/orders/${payload.order_id}', headers: {Authorization: 'Bearer ${file("token")}'}}
      - kafka: {topic: '%s-${payload.region}'}
      - file: {dir: out, path: '${payload.order_id}.jsonl'}
`

// TestPreviewWritesNothing runs every command that only shows, on a topic that a
// run has read in part, and watches all that could change: topics, where their
// logs end, groups, commits, the key store, the receiver, and files.
func TestPreviewWritesNothing(t *testing.T) {
	t.Parallel()
	testPreviewWritesNothing(t, bed{})
}

func testPreviewWritesNothing(t *testing.T, b bed) {
	dir := t.TempDir()
	var calls receiver
	calls.taken, calls.keys, calls.code = map[string]int{}, map[string]string{}, func(string) int { return http.StatusOK }
	server := httptest.NewServer(&calls)
	defer server.Close()
	name, topic := b.name("orders-pipeline"), b.name("orders")
	write(t, dir, "token", "s3cret-token\n")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(previewFile, b.blocks(), name, topic, server.URL, b.name("copy")))
	write(t, dir, "before.jsonl", previewRecords("o-1", "o-2", "o-1"))
	write(t, dir, "after.jsonl", previewRecords("o-1", "o-3", "o-3"))
	b.create(t, 1, "orders", "copy-eu", "orders-pipeline.dead-letter")

	p := start(t, dir, "run")
	publish := func(file string) {
		t.Helper()
		if code, _, errs := millrace(t, dir, "publish", topic, "--records", "--input", file); code != 0 {
			t.Fatal(errs)
		}
	}
	publish("before.jsonl")
	p.await("the first records are done", func() bool {
		o := p.status().Pipelines[0].Outcomes
		return o["delivered"] == 2 && o["duplicate"] == 1 && o["dead_lettered"] == 2
	})
	p.await("their offsets are committed", func() bool {
		return slices.ContainsFunc(p.status().Pipelines[0].Partitions, func(s kafka.PartitionStatus) bool { return s.Committed == 5 })
	})
	watched := func() map[string]string {
		all := b.everything(t, p.broker())
		all["calls"] = fmt.Sprint(calls.total())
		all["rows"] = b.rows(t, dir, name)
		filesBelow(t, filepath.Join(dir, "out"), all)
		return all
	}
	before := watched()
	previewCommands(t, b, dir, name, topic)
	if diff := cmp.Diff(before, watched()); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}

	// What nobody reads meanwhile stays unread, and nothing of a folder that no
	// process has is changed.
	p.stop()
	files := map[string]string{}
	filesBelow(t, filepath.Join(dir, ".millrace", "keys"), files)
	previewCommands(t, b, dir, name, topic)
	after := map[string]string{}
	filesBelow(t, filepath.Join(dir, ".millrace", "keys"), after)
	if diff := cmp.Diff(files, after); diff != "" {
		t.Errorf("the folder of keys was changed:\n%s", diff)
	}
	q := start(t, dir, "run")
	p = q
	if diff := cmp.Diff(before, watched()); diff != "" {
		t.Errorf("something was written while nothing ran (-before +after):\n%s", diff)
	}
	code, out, _ := millrace(t, dir, "dry-run", "--input", "after.jsonl", "--format", "json")
	if got := outcomesOf(t, out); code != 0 || got != "duplicate delivered duplicate dead_lettered filtered" {
		t.Errorf("%d: the dry run of what comes says %q", code, got)
	}
	publish("after.jsonl")
	q.await("the run does what the dry run said", func() bool {
		o := q.status().Pipelines[0].Outcomes
		return o["delivered"] == 1 && o["duplicate"] == 2 && o["dead_lettered"] == 1 && o["filtered"] == 1
	})
}

// previewRecords are purchased orders, one without an id, and one that is open.
func previewRecords(ids ...string) string {
	var lines strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&lines, `{"key": "k", "payload": {"status": "purchased", "region": "eu", "order_id": %q}}`+"\n", id)
	}
	if ids[1] == "o-2" {
		lines.WriteString(`{"key": "k", "value": "broken {"}` + "\n")
	}
	lines.WriteString(`{"key": "k", "payload": {"status": "purchased"}}` + "\n")
	if ids[1] != "o-2" {
		lines.WriteString(`{"key": "k", "payload": {"status": "open"}}` + "\n")
	}
	return lines.String()
}

// previewCommands runs all that only shows, and checks what it shows.
func previewCommands(t *testing.T, b bed, dir, name, topic string) {
	t.Helper()
	for _, c := range []struct {
		args  []string
		code  int
		wants []string
	}{
		{[]string{"dead-letter", "list", name}, 0, []string{"2 open dead letters of " + name, "decode_failed", "key_failed", " " + topic + "/"}},
		{[]string{"dead-letter", "list", name, "--format", "json"}, 0, []string{`"reason":"key_failed"`, `"value":"broken {"`}},
		{[]string{"dry-run", "-n", "5"}, 0, []string{"done already", "order:o-2", "key_failed", "→ " + name + ".dead-letter", "that the key store remembers"}},
		{[]string{"dry-run", name, "--since", "1h", "--format", "json"}, 0, []string{`"outcome":"duplicate"`, `"reason":"decode_failed"`}},
		{[]string{"dry-run", "--no-store"}, 0, []string{"no keys are looked up", "POST http://127.0.0.1", b.name("copy") + "-eu", "o-2.jsonl: "}},
		{[]string{"dry-run", "--input", "after.jsonl", "--format", "json"}, 0, []string{`"Authorization":"[redacted]"`, `"of":"` + topic + `/0/`}},
		{[]string{"explain", "--where", `payload.order_id == "o-2"`}, 0, []string{
			"ended       delivered: the key store remembers its write", "payload.status = \"purchased\"", "→ order:o-2",
			"http, generation 1: confirmed, for this record", "done", "none in " + name + ".dead-letter",
		}},
		{[]string{"explain", "--where", `value contains "broken"`}, 0, []string{"ended       dead_lettered: its dead letter is", ": decode_failed"}},
		{[]string{"explain", name, "--at", topic + "/" + partitionOf(t, dir, topic) + "/2", "--format", "json"}, 0, []string{`"ended":"duplicate"`, `"own":false`, `"done":true`}},
		{[]string{"eval", "payload.order_id", "--at", topic + "/" + partitionOf(t, dir, topic) + "/0"}, 0, []string{`"o-1"`}},
		{[]string{"explain", "--where", "payload.order_id == 'nobody'"}, 1, []string{"holds for none of 5 records"}},
		{[]string{"explain", "--at", topic + "/0/999"}, 1, nil},
	} {
		code, out, errs := millrace(t, dir, c.args...)
		if code != c.code {
			t.Fatalf("%v: code %d\n%s%s", c.args, code, out, errs)
		}
		for _, want := range c.wants {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%v lacks %q:\n%s%s", c.args, want, out, errs)
			}
		}
		if strings.Contains(out+errs, "s3cret") {
			t.Errorf("%v shows a secret:\n%s%s", c.args, out, errs)
		}
	}
}

// partitionOf is the partition that the test's records are in: they have one key.
func partitionOf(t *testing.T, dir, topic string) string {
	t.Helper()
	_, out, errs := millrace(t, dir, "tail", topic, "-n", "1", "--until-end")
	var last struct{ Partition int32 }
	if out == "" {
		t.Fatal(errs)
	}
	decode(t, []byte(out), &last)
	return fmt.Sprint(last.Partition)
}

func outcomesOf(t *testing.T, lines string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(lines) {
		var r struct{ Outcome string }
		decode(t, []byte(line), &r)
		all = append(all, r.Outcome)
	}
	return strings.Join(all, " ")
}

// everything is what this test's broker holds: topics and where they begin and
// end, groups and their commits.
func (b bed) everything(t *testing.T, broker string) map[string]string {
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
	admin := kadm.NewClient(client)
	all := map[string]string{}
	ends, err := admin.ListEndOffsets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		if strings.HasPrefix(o.Topic, b.prefix) && !strings.HasPrefix(o.Topic, "__") {
			all[fmt.Sprintf("end of %s/%d", o.Topic, o.Partition)] = fmt.Sprint(o.Offset)
		}
	})
	groups, err := admin.ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups() {
		if !strings.HasPrefix(group, b.prefix) {
			continue
		}
		offsets, err := admin.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		all["group "+group] = "there"
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.At >= 0 {
				all[fmt.Sprintf("group %s at %s/%d", group, o.Topic, o.Partition)] = fmt.Sprint(o.At)
			}
		})
	}
	return all
}

// rows is what the key store keeps of the test's keys; on Redis all that is under
// the test's prefix, the count of batches too.
func (b bed) rows(t *testing.T, dir, pipelineName string) string {
	t.Helper()
	address, err := url.Parse(b.store)
	if err != nil || address.Scheme != "redis" {
		var all []string
		for _, id := range []string{"o-1", "o-2", "o-3"} {
			_, out, _ := millrace(t, dir, "keys", "get", pipelineName, "order:"+id, "--format", "json")
			all = append(all, out)
		}
		return strings.Join(all, "")
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address.Host}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern(b.prefix+"k:*").Build()).AsStrSlice()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	all := map[string]string{}
	for _, key := range keys {
		if all[key], err = client.Do(t.Context(), client.B().Dump().Key(key).Build()).ToString(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// filesBelow adds the digest of every file below a folder, but of locks, which
// say who has it.
func filesBelow(t *testing.T, dir string, into map[string]string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".lock" {
			return err
		}
		text, err := os.ReadFile(path)
		into[path] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
