package kafka

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func (b *bed) publisher() *Publisher {
	b.Helper()
	p, err := NewPublisher(b.settings, b.deps())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// readAll reads a topic to its end.
func (b *bed) readAll(topic string) []*handlers.Record {
	b.Helper()
	r, err := NewReader(b.settings, b.deps(), topic, ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	return b.drain(r)
}

func TestProduceLosesNothingOfARecord(t *testing.T) {
	b := newBed(t)
	p := b.publisher()
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		count++
		topic := fmt.Sprintf("t%d", count)
		b.topic(topic, 1)
		maybe := rapid.Custom(func(rt *rapid.T) []byte {
			if rapid.Bool().Draw(rt, "null") {
				return nil
			}
			return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "bytes")
		})
		header := rapid.Custom(func(rt *rapid.T) handlers.Header {
			return handlers.Header{Key: rapid.SampledFrom([]string{"a", "b", ""}).Draw(rt, "name"), Value: maybe.Draw(rt, "value")}
		})
		record := rapid.Custom(func(rt *rapid.T) *handlers.Record {
			r := &handlers.Record{Topic: topic, Key: maybe.Draw(rt, "key"), Value: maybe.Draw(rt, "value"),
				Time: time.UnixMilli(rapid.Int64Range(1, 1<<40).Draw(rt, "time"))}
			r.Headers = append(r.Headers, rapid.SliceOfN(header, 0, 4).Draw(rt, "headers")...)
			return r
		})
		records := rapid.SliceOfN(record, 1, 10).Draw(rt, "records")
		if err := p.Produce(t.Context(), records); err != nil {
			rt.Fatal(err)
		}
		got := b.readAll(topic)
		if d := cmp.Diff(records, got, cmpopts.EquateApproxTime(0)); d != "" {
			rt.Fatalf("what was written and read (-want +got):\n%s", d)
		}
	})
}

func TestProduceTellsPartitionsAndOffsets(t *testing.T) {
	b := newBed(t)
	b.topic("out", 6)
	p := b.publisher()
	var all []*handlers.Record
	var work sync.WaitGroup
	for lane := range 8 {
		records := make([]*handlers.Record, 500)
		for i := range records {
			records[i] = &handlers.Record{Topic: "out", Key: fmt.Appendf(nil, "%d-%d", lane, i%50), Value: fmt.Appendf(nil, "%d", i)}
		}
		all = append(all, records...)
		work.Go(func() {
			if err := p.Produce(t.Context(), records); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	type place struct {
		partition int32
		offset    int64
	}
	want := map[place]string{}
	for _, r := range all {
		want[place{r.Partition, r.Offset}] = string(r.Key) + "=" + string(r.Value)
	}
	got := b.readAll("out")
	if len(got) != len(all) {
		t.Fatalf("%d records, want %d", len(got), len(all))
	}
	for _, r := range got {
		if w := want[place{r.Partition, r.Offset}]; w != string(r.Key)+"="+string(r.Value) {
			t.Fatalf("%d/%d holds %s=%s, want %s", r.Partition, r.Offset, r.Key, r.Value, w)
		}
	}
	checkKeyOrder(t, got)
}

// classesOf lists how each of n records ended.
func classesOf(err error, n int) []string {
	classes := make([]string, n)
	for i := range classes {
		classes[i] = "ok"
		if f := handlers.FailureOf(err, i); f != nil {
			classes[i] = f.Class.String()
		}
	}
	return classes
}

func TestTooLargeRecordsFailAlone(t *testing.T) {
	b := newBed(t)
	limit := "100000"
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &limit}, "out"); err != nil {
		t.Fatal(err)
	}
	p := b.publisher()
	records := numberedRecords("out", 20)
	records[5].Value = bytes.Repeat([]byte("x"), 200_000)
	records[15].Value = bytes.Repeat([]byte("x"), 2_000_000)
	err := p.Produce(t.Context(), records)
	want := slices.Repeat([]string{"ok"}, 20)
	want[5], want[15] = "not_applied", "not_applied"
	if d := cmp.Diff(want, classesOf(err, 20)); d != "" {
		t.Fatalf("outcomes (-want +got):\n%s\n%v", d, err)
	}
	if n := len(b.readAll("out")); n != 18 {
		t.Fatalf("%d records are in the topic, want each of 18 once", n)
	}
}

func numberedRecords(topic string, n int) []*handlers.Record {
	records := make([]*handlers.Record, n)
	for i := range records {
		records[i] = &handlers.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", i%3), Value: fmt.Appendf(nil, "%d", i)}
	}
	return records
}

func TestLargeRecordsAreForTheBrokerToJudge(t *testing.T) {
	b := newBed(t)
	limit := "8000000"
	if _, err := b.admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &limit}, "out"); err != nil {
		t.Fatal(err)
	}
	records := numberedRecords("out", 6)
	records[2].Value = bytes.Repeat([]byte("x"), 5_000_000)
	if err := b.publisher().Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	for i, r := range b.readAll("out") {
		if !bytes.Equal(r.Value, records[i].Value) {
			t.Fatalf("record %d is another one", i)
		}
	}
}

func TestProduceClassesOfBrokerAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		code int16
		want string
	}{
		"invalid record is refused":   {kerr.InvalidRecord.Code, "not_applied"},
		"policy":                      {kerr.PolicyViolation.Code, "not_applied"},
		"no permission":               {kerr.TopicAuthorizationFailed.Code, "infrastructure"},
		"unknown server error":        {kerr.UnknownServerError.Code, "unknown"},
		"unsupported by this cluster": {kerr.UnsupportedForMessageFormat.Code, "infrastructure"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.topic("out", 1)
			b.failProduce(c.code)
			records := numberedRecords("out", 3)
			err := b.publisher().Produce(t.Context(), records)
			if err == nil {
				t.Fatal("no error")
			}
			if got := classesOf(err, 1)[0]; got != c.want {
				t.Errorf("first record: %s, want %s (%v)", got, c.want, err)
			}
			if records[0].Offset != -1 {
				t.Errorf("offset %d of a failed record, want -1", records[0].Offset)
			}
		})
	}
}

// failProduce makes the cluster answer every produce request with code, until
// mend is called.
func (b *bed) failProduce(code int16) (mend func()) {
	var mended atomic.Bool
	b.cluster.ControlKey(kmsg.Produce.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		if mended.Load() {
			return nil, nil, false
		}
		b.cluster.KeepControl()
		return produceAnswer(kreq, code), nil, true
	})
	return func() { mended.Store(true) }
}

// produceAnswer answers a produce request with one code for all partitions.
func produceAnswer(kreq kmsg.Request, code int16) kmsg.Response {
	req := kreq.(*kmsg.ProduceRequest)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func TestMissingTopicIsInfrastructure(t *testing.T) {
	b := newBed(t)
	err := b.publisher().Produce(t.Context(), numberedRecords("nowhere", 2))
	if got := classesOf(err, 2)[0]; got != "infrastructure" {
		t.Fatalf("%s (%v), want infrastructure", got, err)
	}
}

func TestProduceReturnsWhenItsContextEnds(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	hold := make(chan struct{})
	b.cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		b.cluster.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	p := b.publisher()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := p.Produce(ctx, numberedRecords("out", 2))
	if classesOf(err, 1)[0] != "unknown" {
		t.Errorf("%v, want an unknown fate", err)
	}
	close(hold)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Produce(t.Context(), numberedRecords("out", 1)); err == nil {
		t.Error("a closed publisher took a record")
	}
}

func TestPartitionsAgreeWithTheReadingClient(t *testing.T) {
	b := newBed(t)
	b.topic("out", 6)
	records := make([]*handlers.Record, 1000)
	for i := range records {
		records[i] = &handlers.Record{Topic: "out", Key: fmt.Appendf(nil, "key-%d", i*7919), Value: []byte("v")}
	}
	records[0].Key = []byte{}
	if err := b.publisher().Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	check := murmur2Partitions(t, records, 6)
	for i, r := range records {
		if r.Partition != check[i] {
			t.Fatalf("key %q went to %d, the reading client would send it to %d", r.Key, r.Partition, check[i])
		}
	}
}
