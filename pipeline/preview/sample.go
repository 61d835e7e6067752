package preview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// Topics reads records of a cluster without a group, and leaves nothing behind.
type Topics struct {
	Settings kafka.Settings
	Admin    *kafka.Admin
	Deps     kafka.Deps
	// OnRead, where set, is told how many records were read; it must not block.
	OnRead func(records int)
	// Largest is the largest record that any pipeline takes; 0 means the default.
	Largest int64
}

// Window says which records of a pipeline's topics are taken.
type Window struct {
	// Last is how many of the newest; below 1 there is no limit.
	Last int
	// Since and Until bound the records' time where they are set: from Since on,
	// and before Until.
	Since, Until time.Time
}

// Sample reads the window of each pipeline's topics. The records come by time,
// those of one partition in order; one that several pipelines took comes once.
// dropped tells how many records since Since, over all pipelines, were left out for
// Last.
func (t *Topics) Sample(ctx context.Context, pipelines []*plan.Pipeline, w Window) (items []Item, dropped int,
	err error) {
	there, err := t.Admin.Topics(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range pipelines {
		t.Largest = max(t.Largest, p.Source.MaxRecordBytes)
	}
	read := map[string][]*handlers.Record{}
	at := map[place]int{}
	for i, p := range pipelines {
		names, err := topicsOf(p, there)
		if err != nil {
			return nil, 0, err
		}
		var sets [][]*handlers.Record
		for _, name := range names {
			if _, ok := read[name]; !ok {
				if read[name], err = t.read(ctx, name, w); err != nil {
					return nil, 0, err
				}
			}
			sets = append(sets, read[name])
		}
		merged := mergeByTime(sets...)
		if w.Last > 0 && len(merged) > w.Last {
			if !w.Since.IsZero() {
				dropped += len(merged) - w.Last
			}
			merged = merged[len(merged)-w.Last:]
		}
		for _, r := range merged {
			where := placeOf(r)
			n, known := at[where]
			if !known {
				n = len(items)
				at[where] = n
				items = append(items, Item{Record: r})
			}
			items[n].Pipelines = append(items[n].Pipelines, i)
		}
	}
	return inOrder(items), dropped, nil
}

// place names a record.
type place struct {
	topic     string
	partition int32
	offset    int64
}

func placeOf(r *handlers.Record) place { return place{r.Topic, r.Partition, r.Offset} }

// inOrder merges what several pipelines took.
func inOrder(items []Item) []Item {
	of := map[*handlers.Record]Item{}
	records := make([]*handlers.Record, len(items))
	for i, item := range items {
		records[i] = item.Record
		of[item.Record] = item
	}
	sorted := make([]Item, 0, len(items))
	for _, r := range mergeByTime(records) {
		sorted = append(sorted, of[r])
	}
	return sorted
}

// topicsOf are the topics that a pipeline reads. One that it names must exist.
func topicsOf(p *plan.Pipeline, there []kafka.Topic) ([]string, error) {
	var names, matching []string
	for _, topic := range there {
		names = append(names, topic.Name)
		if p.Source.Pattern != nil && p.Reads(topic.Name) {
			matching = append(matching, topic.Name)
		}
	}
	if p.Source.Pattern != nil {
		if len(matching) == 0 {
			return nil, fmt.Errorf("pipeline %q: no topic matches its pattern %s", p.Name, p.Source.Pattern)
		}
		return matching, nil
	}
	for _, name := range p.Source.Topics {
		if !slices.Contains(names, name) {
			return nil, missingTopic(name, names)
		}
	}
	return p.Source.Topics, nil
}

func missingTopic(name string, there []string) error {
	if near := diag.Nearest(name, there); near != "" {
		return fmt.Errorf("topic %q does not exist (did you mean %q?)", name, near)
	}
	return fmt.Errorf("topic %q does not exist", name)
}

// read reads the window of one topic.
func (t *Topics) read(ctx context.Context, topic string, w Window) ([]*handlers.Record, error) {
	var all []*handlers.Record
	err := t.Each(ctx, topic, w, func(r *handlers.Record) error {
		all = append(all, r)
		return nil
	})
	return all, err
}

// ErrEnough may be returned by a visit of Each to end the reading.
var ErrEnough = errors.New("enough was read")

// Each reads the window of one topic and visits its records, those of one
// partition in order. With Last it visits the newest of the whole topic.
func (t *Topics) Each(ctx context.Context, topic string, w Window, visit func(*handlers.Record) error) error {
	options := kafka.ReadOptions{Since: w.Since, MaxRecordBytes: t.Largest}
	if w.Since.IsZero() && w.Last > 0 {
		options.Last = w.Last
	}
	if !w.Until.IsZero() {
		until, err := t.Admin.OffsetsAt(ctx, w.Until, topic)
		if err != nil {
			return err
		}
		options.Until = until[topic]
	}
	reader, err := kafka.NewReader(t.Settings, t.Deps, topic, options)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Next(ctx)
		if t.OnRead != nil {
			t.OnRead(len(records))
		}
		for _, r := range records {
			if !w.Until.IsZero() && !r.Time.Before(w.Until) {
				continue
			}
			if err := visit(r); err != nil {
				if errors.Is(err, ErrEnough) {
					return nil
				}
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// UnreadableError is why a record that is there can't be read.
type UnreadableError struct{ Err error }

// Error is the reason.
func (e *UnreadableError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *UnreadableError) Unwrap() error { return e.Err }

// One reads one record, or says why there is none.
func (t *Topics) One(ctx context.Context, topic string, partition int32, offset int64) (*handlers.Record, error) {
	there, err := t.Admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(there, func(k kafka.Topic) bool { return k.Name == topic })
	if i < 0 {
		names := make([]string, len(there))
		for i, k := range there {
			names[i] = k.Name
		}
		return nil, missingTopic(topic, names)
	}
	if int(partition) >= there[i].Partitions {
		return nil, fmt.Errorf("topic %q has no partition %d: it has %d, from 0 on", topic, partition,
			there[i].Partitions)
	}
	starts, err := t.Admin.StartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends, err := t.Admin.EndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	start, end := starts[topic][partition], ends[topic][partition]
	switch {
	case start == end:
		return nil, fmt.Errorf("%s/%d holds no records", topic, partition)
	case offset < start:
		return nil, fmt.Errorf("%s/%d/%d is gone: the log holds offsets %d to %d", topic, partition, offset, start,
			end-1)
	case offset >= end:
		return nil, fmt.Errorf("%s/%d/%d is not written yet: the log holds offsets %d to %d", topic, partition, offset,
			start, end-1)
	}
	var unreadable error
	reader, err := kafka.NewReader(t.Settings, t.Deps, topic, kafka.ReadOptions{
		Offsets: map[int32]int64{partition: offset}, Until: map[int32]int64{partition: offset + 1},
		MaxRecordBytes: t.Largest,
		OnUnreadable:   func(_ int32, _, _ int64, err error) { unreadable = err },
	})
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	records, err := reader.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(records) == 0 && unreadable != nil {
		return nil, fmt.Errorf("%s/%d/%d: %w", topic, partition, offset, &UnreadableError{unreadable})
	}
	if len(records) == 0 || records[0].Offset != offset {
		return nil, fmt.Errorf("%s/%d/%d holds no record: it was compacted away, its transaction was aborted, or it "+
			"marks the end of one", topic, partition, offset)
	}
	return records[0], nil
}

// mergeByTime merges sets of records by time; records of one partition keep their
// order, whatever their times say.
func mergeByTime(sets ...[]*handlers.Record) []*handlers.Record {
	queues := map[place][]*handlers.Record{}
	total := 0
	for _, set := range sets {
		for _, r := range set {
			k := place{topic: r.Topic, partition: r.Partition}
			queues[k] = append(queues[k], r)
			total++
		}
	}
	var heads []place
	for k, queue := range queues {
		slices.SortFunc(queue, func(a, b *handlers.Record) int { return cmp.Compare(a.Offset, b.Offset) })
		heads = append(heads, k)
	}
	before := func(a, b place) int {
		return cmp.Or(queues[a][0].Time.Compare(queues[b][0].Time), cmp.Compare(a.topic, b.topic),
			cmp.Compare(a.partition, b.partition))
	}
	slices.SortFunc(heads, before)
	merged := make([]*handlers.Record, 0, total)
	for len(heads) > 0 {
		k := heads[0]
		merged = append(merged, queues[k][0])
		queues[k] = queues[k][1:]
		heads = heads[1:]
		if len(queues[k]) > 0 {
			i, _ := slices.BinarySearchFunc(heads, k, before)
			heads = slices.Insert(heads, i, k)
		}
	}
	return merged
}

// Search reads the windows of the pipelines' topics and returns the newest
// records, w.Last of them, that keep wants, and how many it read.
func (t *Topics) Search(ctx context.Context, pipelines []*plan.Pipeline, w Window,
	keep func(*handlers.Record) bool) (items []Item, read int, err error) {
	there, err := t.Admin.Topics(ctx)
	if err != nil {
		return nil, 0, err
	}
	n := w.Last
	w.Last = -1
	reading := map[string][]int{}
	for i, p := range pipelines {
		names, err := topicsOf(p, there)
		if err != nil {
			return nil, 0, err
		}
		for _, name := range names {
			reading[name] = append(reading[name], i)
		}
	}
	newest := map[place][]*handlers.Record{}
	for name := range reading {
		err := t.Each(ctx, name, w, func(r *handlers.Record) error {
			read++
			if !keep(r) {
				return nil
			}
			k := place{topic: r.Topic, partition: r.Partition}
			if newest[k] = append(newest[k], r); n > 0 && len(newest[k]) > n {
				newest[k] = newest[k][1:]
			}
			return nil
		})
		if err != nil {
			return nil, read, err
		}
	}
	var sets [][]*handlers.Record
	for _, records := range newest {
		sets = append(sets, records)
	}
	merged := mergeByTime(sets...)
	if n > 0 {
		merged = merged[max(0, len(merged)-n):]
	}
	for _, r := range merged {
		items = append(items, Item{Record: r, Pipelines: reading[r.Topic]})
	}
	return items, read, nil
}
