package kafka

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func TestExactTimeUndoesTheOverflow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ms := rapid.Int64Range(-1<<57, 1<<57-1).Draw(rt, "milliseconds")
		fetched := kgo.Record{Timestamp: time.Unix(0, ms*1e6)}
		if got := slotsOf([]*kgo.Record{&fetched})[0].record.Time.UnixMilli(); got != ms {
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

func TestTimesAreKeptInOneBatch(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	want := []int64{1_700_000_000_000, -1, lastPlain, 0, -315_619_200_000, 1, -lastPlain, 1_700_000_000_001}
	var records []*handlers.Record
	for _, ms := range want {
		records = append(records, &handlers.Record{Topic: "out", Key: []byte("k"), Time: time.UnixMilli(ms)})
	}
	if err := b.publisher().Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, millis(b.readAll("out"))); d != "" {
		t.Errorf("milliseconds written and read (-want +got):\n%s", d)
	}
}

// A request is shared by everybody who writes at the time: what can't be encoded
// must not get into one.
func TestRecordOfAnUnwritableTimeFailsAlone(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	p := b.publisher()
	var work sync.WaitGroup
	for lane, ms := range []int64{lastPlain + 1, math.MaxInt64, -lastPlain - 1, 253_402_300_800_000} {
		work.Go(func() {
			records := make([]*handlers.Record, 50)
			for i := range records {
				records[i] = &handlers.Record{Topic: "out", Key: fmt.Appendf(nil, "%d-%d", lane, i), Time: time.UnixMilli(int64(1000 + i))}
			}
			records[0].Time = time.UnixMilli(ms)
			want := slices.Repeat([]string{"ok"}, len(records))
			want[0] = "not_applied"
			err := p.Produce(t.Context(), records)
			if d := cmp.Diff(want, classesOf(err, len(records))); d != "" {
				t.Errorf("outcomes beside a record of %d ms (-want +got):\n%s\n%v", ms, d, err)
			}
		})
	}
	work.Wait()
	if n := len(b.readAll("out")); n != 4*49 {
		t.Errorf("%d records are in the topic, want %d", n, 4*49)
	}
}
