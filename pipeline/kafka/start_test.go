package kafka

import (
	"regexp"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lowest is the first offset that was read of a partition, -1 for none.
func (r *reading) lowest(topic string, partition int32) int64 {
	low := int64(-1)
	for _, rec := range r.records() {
		if rec.Topic == topic+r.suffix && rec.Partition == partition && (low < 0 || rec.Offset < low) {
			low = rec.Offset
		}
	}
	return low
}

func TestStartHoldsWhereTheGroupHasNoCommit(t *testing.T) {
	testStartHoldsWhereTheGroupHasNoCommit(t, fakeBed)
}

func testStartHoldsWhereTheGroupHasNoCommit(t *testing.T, newBed func(*testing.T) *bed) {
	middle := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct {
		start Start
		want  [2]int64
	}{
		"earliest": {Start{Kind: StartEarliest}, [2]int64{0, 0}},
		"latest":   {Start{Kind: StartLatest}, [2]int64{20, 20}},
		"time":     {Start{Kind: StartTime, Time: middle}, [2]int64{10, 10}},
		"offsets":  {Start{Kind: StartOffsets, Offsets: map[int32]int64{1: 7}}, [2]int64{0, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.topic("orders", 2)
			for p := range int32(2) {
				records := numbered("orders", p, 0, 20)
				for i, r := range records {
					r.Timestamp = middle.Add(time.Duration(i-10) * time.Second)
				}
				b.write(records...)
			}
			source := b.source("orders")
			source.Start = c.start
			s := b.subscriber(source)
			r := b.read(s, nil)
			b.eventually("readiness", s.Ready)
			for p := range int32(2) {
				b.eventually("the start's commit", func() bool { return b.committed("g-orders", "orders", p) >= c.want[p] })
				b.write(numbered("orders", p, 20, 1)...)
			}
			b.eventually("the newest records", func() bool {
				return b.committed("g-orders", "orders", 0) == 21 && b.committed("g-orders", "orders", 1) == 21
			})
			r.close(t)
			for p := range int32(2) {
				if got := r.lowest("orders", p); got != c.want[p] {
					t.Errorf("partition %d begins at %d, want %d", p, got, c.want[p])
				}
			}
		})
	}
}

func TestLatestIsResolvedOnceAndForgetsNothing(t *testing.T) {
	testLatestIsResolvedOnceAndForgetsNothing(t, fakeBed)
}

func testLatestIsResolvedOnceAndForgetsNothing(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	source := b.source("orders")
	source.Start.Kind = StartLatest
	s := b.subscriber(source)
	r := b.read(s, nil)
	b.eventually("readiness", s.Ready)
	r.close(t)
	// Nothing was ever read; what comes while nobody reads must not be skipped.
	b.write(numbered("orders", 0, 10, 5)...)
	r = b.read(b.subscriber(source), nil)
	b.eventually("5 records", func() bool { return r.count() == 5 })
	r.close(t)
	if got := r.lowest("orders", 0); got != 10 {
		t.Errorf("begins at %d, want 10", got)
	}
}

func TestCommitOfAnotherToolIsTakenAsItIs(t *testing.T) {
	testCommitOfAnotherToolIsTakenAsItIs(t, fakeBed)
}

func testCommitOfAnotherToolIsTakenAsItIs(t *testing.T, newBed func(*testing.T) *bed) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	offsets := kadm.Offsets{}
	offsets.AddOffset(b.name("orders"), 0, 6, -1)
	if err := b.admin.CommitAllOffsets(t.Context(), b.name("g-orders"), offsets); err != nil {
		t.Fatal(err)
	}
	r := b.read(b.subscriber(b.source("orders")), nil)
	b.eventually("4 records", func() bool { return r.count() == 4 })
	r.close(t)
	if got := r.lowest("orders", 0); got != 6 {
		t.Errorf("begins at %d, want 6", got)
	}
}

func TestNewPartitionsAndMatchingTopicsBeginAtTheirFirstRecord(t *testing.T) {
	testNewPartitionsAndMatchingTopicsBeginAtTheirFirstRecord(t, fakeBed)
}

func testNewPartitionsAndMatchingTopicsBeginAtTheirFirstRecord(t *testing.T, newBed func(*testing.T) *bed) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders_a", 1)
	b.write(numbered("orders_a", 0, 0, 10)...)
	source := b.source("orders")
	source.Topics, source.Pattern = nil, regexp.MustCompile(`^orders_.*`+b.suffix)
	source.Start.Kind = StartLatest
	s := b.subscriber(source)
	r := b.read(s, nil)
	b.eventually("readiness", s.Ready)
	b.topic("orders_b", 1)
	b.topic("other", 1)
	b.write(numbered("orders_b", 0, 0, 3)...)
	b.write(numbered("other", 0, 0, 3)...)
	if _, err := b.admin.UpdatePartitions(t.Context(), 2, b.name("orders_a")); err != nil {
		t.Fatal(err)
	}
	b.client.ForceMetadataRefresh()
	b.eventually("a write to the new partition", func() bool {
		return b.client.ProduceSync(t.Context(), numbered(b.name("orders_a"), 1, 0, 4)...).FirstErr() == nil
	})
	b.eventually("the new topic's and the new partition's records", func() bool {
		return r.lowest("orders_b", 0) == 0 && r.lowest("orders_a", 1) == 0
	})
	r.close(t)
	if got := r.lowest("orders_a", 0); got != -1 {
		t.Errorf("the old partition was read from %d, want nothing of it", got)
	}
	if got := r.lowest("other", 0); got != -1 {
		t.Error("a topic that does not match was read")
	}
}

// Two first members may resolve `latest` at the same time, and records come in
// between: the earlier one's start holds, whoever commits last.
func TestEarliestOfTwoStartsHolds(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	source := b.source("orders")
	source.Start.Kind = StartLatest
	members := make([]*consumer, 2)
	for i := range members {
		members[i] = newConsumer(t.Context(), b.subscriber(source).cluster, source, b.deps(), false)
	}
	pin := func(member int, offset int64) {
		members[member].pin(t.Context(), b.admin, startOffsets{{"orders", 0}: {set: true, offset: offset}})
	}
	for name, order := range map[string][2]int64{"the later one commits last": {100, 120}, "the earlier one commits last": {120, 100}} {
		pin(0, order[0])
		pin(1, order[1])
		if got := b.committed("g-orders", "orders", 0); got != 100 {
			t.Errorf("%s: committed %d, want 100", name, got)
		}
		if _, err := b.admin.DeleteGroups(t.Context(), "g-orders"); err != nil {
			t.Fatal(err)
		}
	}
}

// Retention may take records away between the resolving of the start and the
// first record. Nobody has lost what nobody was to read.
func TestRetentionBeforeTheFirstRecordIsNoLoss(t *testing.T) {
	key := topicPartition{"orders", 0}
	ends := map[int32]int64{0: 100}
	for name, c := range map[string]struct {
		start startOffset
		alarm string
	}{
		"earliest":        {startOffset{set: true, floating: true, offset: 0}, ""},
		"a named offset":  {startOffset{set: true, offset: 0}, "out_of_range"},
		"read by another": {startOffset{}, "out_of_range"},
	} {
		d := decidePlace(key, kgo.EpochOffset{Epoch: -1, Offset: 0}, note{}, true, logView{starts: map[int32]int64{0: 10}, ends: ends}, c.start, false)
		if d.alarm.Kind != c.alarm || c.alarm == "" && d.at.Offset != 10 {
			t.Errorf("%s: begins at %d with alarm %q, want alarm %q", name, d.at.Offset, d.alarm.Kind, c.alarm)
		}
	}
}

func TestRetentionWhileTheFirstFetchIsUnderWay(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 20)...)
	s := b.subscriber(b.source("orders"))
	var r *reading
	release := b.holdFetches(func() { r = b.read(s, nil) })
	b.eventually("the start's commit", func() bool { return b.committed("g-orders", "orders", 0) == 0 })
	b.deleteBefore("orders", 0, 10)
	release()
	b.eventually("the records that are left", func() bool { return r.count() == 10 })
	r.close(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.alarms) > 0 {
		t.Errorf("alarms %+v of a group that had read nothing", b.alarms)
	}
}
