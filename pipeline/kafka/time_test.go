package kafka

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func TestExactTimeUndoesTheOverflow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ms := rapid.Int64Range(-1<<57, 1<<57-1).Draw(rt, "milliseconds")
		fetched := kgo.Record{Timestamp: time.Unix(0, ms*1e6)}
		if got := slotsOf([]*kgo.Record{&fetched}, 0)[0].record.Time.UnixMilli(); got != ms {
			rt.Fatalf("%d is read as %d", ms, got)
		}
	})
}

// millis lists the times of records.
func millis(records []*handlers.Record) []int64 {
	var all []int64
	for _, r := range records {
		all = append(all, r.Time.UnixMilli())
	}
	return all
}

func TestTimesAreKeptInOneBatch(t *testing.T) { testTimesAreKeptInOneBatch(t, fakeBed) }

func testTimesAreKeptInOneBatch(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	// Apache Kafka takes nothing of a later hour unless the topic says so.
	latest := strconv.Itoa(math.MaxInt64)
	b.topicWith("out", 6, map[string]*string{"message.timestamp.after.max.ms": &latest, "message.timestamp.before.max.ms": &latest})
	want := []int64{
		1_700_000_000_000, -1, lastPlain, 0, -315_619_200_000, lastPlain + 1, 1, -lastPlain - 1,
		253_402_300_800_000, 1_700_000_000_000_000, 1<<57 - 1, -1 << 57, 1_700_000_000_001,
	}
	var records []*handlers.Record
	for _, ms := range want {
		records = append(records, &handlers.Record{Topic: b.name("out"), Key: []byte("k"), Time: time.UnixMilli(ms)})
	}
	null := records[1]
	null.Headers = []handlers.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte{}}}
	if err := b.publisher().Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	got := b.readAll(b.name("out"))
	if d := cmp.Diff(want, millis(got)); d != "" {
		t.Errorf("milliseconds written and read (-want +got):\n%s", d)
	}
	// One key, so one partition, and each place is told.
	if d := cmp.Diff(records, got); d != "" {
		t.Errorf("written and read (-want +got):\n%s", d)
	}
}

func TestOddTimesOutliveABrokersTrouble(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	for _, code := range []int16{kerr.NotLeaderForPartition.Code, kerr.NotEnoughReplicasAfterAppend.Code} {
		b.cluster.ControlKey(kmsg.Produce.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			return produceAnswer(kreq, code), nil, true
		})
	}
	p := b.publisher()
	odd := func(topic string) []*handlers.Record {
		return []*handlers.Record{{Topic: topic, Key: []byte("k"), Time: time.UnixMilli(-5)}}
	}
	if err := p.Produce(t.Context(), odd("out")); err != nil {
		t.Fatal(err)
	}
	if n := len(b.readAll("out")); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	if f := handlers.FailureOf(p.Produce(t.Context(), odd("missing")), 0); f == nil || !f.NotSent || f.Scope != "missing" {
		t.Errorf("%+v, want that this topic is away", f)
	}
	mend := b.failProduce(kerr.InvalidTimestamp.Code)
	if f := handlers.FailureOf(p.Produce(t.Context(), odd("out")), 0); f == nil || f.Class != handlers.NotApplied {
		t.Errorf("%+v, want a refusal", f)
	}
	mend()
}

// A request is shared by everybody who writes at the time. Where it can't be
// encoded for the fault of one record, that one fails alone.
func TestRequestThatCannotBeEncodedIsTakenApart(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	s := newSending(b.publisher(), numberedRecords("out", 50))
	s.messages[0].Timestamp = time.UnixMilli(-5)
	s.records[0].Time = time.UnixMilli(-5)
	s.batch(0, 50)
	if len(s.failed) != 1 || s.failed[0] == nil || s.failed[0].Class != handlers.NotApplied {
		t.Errorf("failed: %v, want the first alone, as refused", s.failed)
	}
	if n := len(b.readAll("out")); n != 49 {
		t.Errorf("%d records are in the topic, want 49", n)
	}
}
