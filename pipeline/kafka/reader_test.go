package kafka

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

func valuesOf(records []*handlers.Record) []int {
	var values []int
	for _, r := range records {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values
}

func TestReaderReadsTheSpanItIsAskedFor(t *testing.T) {
	b := newBed(t)
	b.topic("log", 2)
	begin := time.UnixMilli(1_700_000_000_000)
	for p := range int32(2) {
		records := numbered("log", p, int(p)*100, 10)
		for i, r := range records {
			// Partition 1 is half a second behind.
			r.Timestamp = begin.Add(time.Duration(i)*time.Second + time.Duration(p)*500*time.Millisecond)
		}
		b.write(records...)
	}
	for name, c := range map[string]struct {
		options ReadOptions
		want    []int
	}{
		"everything":   {ReadOptions{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109}},
		"last three":   {ReadOptions{Last: 3}, []int{9, 108, 109}},
		"more than is": {ReadOptions{Last: 100, Until: map[int32]int64{0: 2, 1: 1}}, []int{0, 1, 100}},
		"since":        {ReadOptions{Since: begin.Add(8 * time.Second)}, []int{8, 9, 108, 109}},
		"one offset":   {ReadOptions{Offsets: map[int32]int64{1: 4}, Until: map[int32]int64{1: 5}}, []int{104}},
		"nothing":      {ReadOptions{Since: begin.Add(time.Hour)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(b.settings, b.deps(), "log", c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if d := cmp.Diff(c.want, valuesOf(b.drain(r))); d != "" {
				t.Errorf("values (-want +got):\n%s", d)
			}
		})
	}
}

func TestReaderFollows(t *testing.T) {
	b := newBed(t)
	b.topic("log", 2)
	b.write(numbered("log", 0, 0, 10)...)
	r, err := NewReader(b.settings, b.deps(), "log", ReadOptions{Last: 2, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next := func(want ...int) {
		t.Helper()
		var got []*handlers.Record
		for len(got) < len(want) {
			records, err := r.Next(within(t, patience))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, records...)
		}
		if d := cmp.Diff(want, valuesOf(got)); d != "" {
			t.Fatalf("values (-want +got):\n%s", d)
		}
	}
	next(8, 9)
	b.write(numbered("log", 1, 50, 3)...)
	next(50, 51, 52)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's error", err)
	}
}

// TestReaderSeesCommittedRecordsOnly reads a topic that ends in an aborted
// transaction, and still finds the end.
func TestReaderSeesCommittedRecordsOnly(t *testing.T) {
	b := newBed(t)
	b.topic("log", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.settings.Brokers...), kgo.TransactionalID("tx"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		n := 0
		if commit == kgo.TryAbort {
			n = 10
		}
		if err := client.ProduceSync(t.Context(), numbered("log", 0, n, 5)...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]int{0, 1, 2, 3, 4}, valuesOf(b.readAll("log"))); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	r := b.read(b.subscriber(b.source("log")), nil)
	b.eventually("5 records", func() bool { return r.count() == 5 })
	r.close(t)
	if d := cmp.Diff([]int{0, 1, 2, 3, 4}, valuesOf(r.records())); d != "" {
		t.Errorf("values of the subscriber (-want +got):\n%s", d)
	}
}

// A broker that is slow is no end: nothing is left out.
func TestReaderWaitsForASlowBroker(t *testing.T) {
	b := newBed(t)
	b.topic("log", 1)
	b.write(numbered("log", 0, 0, 5)...)
	slow := 2
	b.cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		if slow--; slow >= 0 {
			b.cluster.KeepControl()
			b.cluster.SleepControl(func() { time.Sleep(quietEnd + 500*time.Millisecond) })
		}
		return nil, nil, false
	})
	if d := cmp.Diff([]int{0, 1, 2, 3, 4}, valuesOf(b.readAll("log"))); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
}

// One that is gone is no end either: what could not be read is said.
func TestReaderOfABrokerThatIsGone(t *testing.T) {
	b := newBed(t)
	b.topic("log", 1)
	b.write(numbered("log", 0, 0, 5)...)
	r, err := NewReader(b.settings, b.deps(), "log", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.cluster.Close()
	for {
		records, err := r.Next(within(t, patience))
		if errors.Is(err, io.EOF) && len(records) == 0 {
			t.Fatal("it says that there is nothing more")
		}
		if err != nil {
			break
		}
	}
}

func TestReaderOfAMissingTopic(t *testing.T) {
	b := newBed(t)
	r, err := NewReader(b.settings, b.deps(), "nowhere", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(t.Context()); err == nil {
		t.Error("a topic that does not exist was read")
	}
}
