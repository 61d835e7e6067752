package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
)

// ReadOptions say what a Reader reads. At most one of Offsets, Last and Since is
// set; with none of them it reads from the earliest record.
type ReadOptions struct {
	// Offsets are where to begin, by partition; other partitions are left out.
	Offsets map[int32]int64
	// Last reads that many of the topic's newest records, by time.
	Last int
	// Since reads from the first record at or after a time.
	Since time.Time
	// Until, where set, is where to end, by partition, excluding the offset; a
	// partition that it does not name ends where its log ended on opening.
	Until map[int32]int64
	// Follow goes on at the end instead of stopping there.
	Follow bool
}

// quietEnd is how long a partition may yield nothing before its end before it
// counts as read: records at its end may have been compacted away.
const quietEnd = 5 * time.Second

// Reader reads one topic without a group and leaves nothing behind. It is used
// by one goroutine at a time.
type Reader struct {
	settings Settings
	cluster  cluster
	deps     Deps
	topic    string
	options  ReadOptions

	client *kgo.Client
	// left is where each partition still has to get to.
	left map[int32]int64
	tail []*handlers.Record
}

// NewReader checks the settings; the first Next connects, and settles where to
// begin and to end.
func NewReader(settings Settings, deps Deps, topic string, options ReadOptions) (*Reader, error) {
	c, err := newCluster(settings)
	if err != nil {
		return nil, fmt.Errorf("configure the reader: %w", err)
	}
	if deps.Logger == nil {
		return nil, errors.New("configure the reader: no logger is given")
	}
	return &Reader{settings: settings, cluster: c, deps: deps, topic: topic, options: options}, nil
}

func (r *Reader) open(ctx context.Context) error {
	from, until, err := span(ctx, r.settings, r.deps, r.topic, r.options)
	if err != nil {
		return err
	}
	at := map[int32]kgo.Offset{}
	r.left = map[int32]int64{}
	for number, offset := range from {
		if offset < until[number] {
			r.left[number] = until[number]
		} else if !r.options.Follow {
			continue
		}
		at[number] = kgo.NewOffset().At(offset).WithEpoch(-1)
	}
	r.client, err = kgo.NewClient(append(r.cluster.kgoOptions(r.deps.Logger),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: at}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(250*time.Millisecond),
		// Control records tell how far a partition was read where a
		// transaction ends it.
		kgo.KeepControlRecords(),
	)...)
	return err
}

// span resolves where to begin and to end.
func span(ctx context.Context, settings Settings, deps Deps, topic string, options ReadOptions) (from, until map[int32]int64, err error) {
	admin, err := NewAdmin(settings, deps)
	if err != nil {
		return nil, nil, err
	}
	defer admin.Close()
	starts, err := admin.StartOffsets(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	ends, err := admin.EndOffsets(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	if len(ends[topic]) == 0 {
		return nil, nil, errors.New("the topic does not exist")
	}
	from, until = starts[topic], ends[topic]
	for number, offset := range options.Until {
		if end, ok := until[number]; ok && offset < end {
			until[number] = offset
		}
	}
	switch {
	case options.Offsets != nil:
		for number := range from {
			offset, ok := options.Offsets[number]
			if !ok {
				delete(from, number)
				continue
			}
			from[number] = max(from[number], offset)
		}
	case options.Last > 0:
		for number := range from {
			from[number] = max(from[number], until[number]-int64(options.Last))
		}
	case !options.Since.IsZero():
		at, err := admin.OffsetsAt(ctx, options.Since, topic)
		if err != nil {
			return nil, nil, err
		}
		from = at[topic]
	}
	return from, until, nil
}

// Next waits for records and returns them, those of one partition in order. At
// the end it returns io.EOF, unless it follows. The records are the caller's.
func (r *Reader) Next(ctx context.Context) ([]*handlers.Record, error) {
	if r.client == nil {
		if err := r.open(ctx); err != nil {
			return nil, fmt.Errorf("read topic %q: %w", r.topic, err)
		}
	}
	for {
		if len(r.left) == 0 {
			if records := r.newest(); len(records) > 0 {
				return records, nil
			}
			if !r.options.Follow {
				return nil, io.EOF
			}
		}
		records, err := r.poll(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case r.options.Last > 0:
			r.tail = append(r.tail, records...)
		case len(records) > 0:
			return records, nil
		}
	}
}

// newest returns the last records of all partitions once these were read.
func (r *Reader) newest() []*handlers.Record {
	n := r.options.Last
	if n == 0 {
		return nil
	}
	slices.SortStableFunc(r.tail, func(a, b *handlers.Record) int { return a.Time.Compare(b.Time) })
	records := r.tail[max(0, len(r.tail)-n):]
	r.tail, r.options.Last = nil, 0
	return records
}

func (r *Reader) poll(ctx context.Context) ([]*handlers.Record, error) {
	pollCtx := ctx
	if len(r.left) > 0 {
		var cancel context.CancelFunc
		pollCtx, cancel = context.WithTimeout(ctx, quietEnd)
		defer cancel()
	}
	fetches := r.client.PollFetches(pollCtx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if pollCtx.Err() != nil && fetches.NumRecords() == 0 {
		clear(r.left)
		return nil, nil
	}
	if fetches.IsClientClosed() {
		return nil, errors.New("read: the reader is closed")
	}
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("read %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	var records []*handlers.Record
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		records = append(records, r.take(p.Partition, p.Records)...)
	})
	return records, nil
}

// take keeps what belongs to the span and notes how far the partition is.
func (r *Reader) take(number int32, fetched []*kgo.Record) []*handlers.Record {
	var records []*handlers.Record
	slots := slotsOf(fetched)
	for i, f := range fetched {
		end, bounded := r.left[number]
		if !bounded && !r.options.Follow {
			break
		}
		if bounded && f.Offset+1 >= end {
			delete(r.left, number)
		}
		if bounded && f.Offset >= end && !r.options.Follow {
			break
		}
		if !f.Attrs.IsControl() {
			records = append(records, &slots[i].record)
		}
	}
	return records
}

// Close disconnects.
func (r *Reader) Close() {
	if r.client != nil {
		r.client.Close()
	}
}
