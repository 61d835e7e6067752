package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/memory"
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
	// MaxRecordBytes is the largest record that is read; 0 means 16 MiB.
	MaxRecordBytes int64
	// OnUnreadable, where set, is told of offsets that are left out because they
	// can't be read, from first on, up to next; otherwise they are logged.
	OnUnreadable func(partition int32, first, next int64, err error)
}

// quietEnd is how long partitions may yield nothing before their ends until it is looked
// whether any record lies there: they may have been compacted away.
const quietEnd = time.Second

// Reader reads one topic without a group and leaves nothing behind. It is used
// by one goroutine at a time.
type Reader struct {
	settings Settings
	cluster  cluster
	deps     Deps
	topic    string
	options  ReadOptions

	client *kgo.Client
	intake *intake
	// given is the memory of the records that Next returned last.
	given int64
	// starved tells that a partition found no memory at the last poll.
	starved bool
	// left is where each partition still has to get to, at where it is.
	left, at map[int32]int64
	tail     []*handlers.Record

	mu sync.Mutex
	// short are partitions of which a batch held fewer records than it says.
	short map[int32]bool
}

// readerMemory is how much a Reader fetches ahead where its process has no limit.
const readerMemory = 128 << 20

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
	if deps.Held == nil {
		deps.Held = memory.NewPool(readerMemory, 1)
	}
	limit := Source{MaxRecordBytes: options.MaxRecordBytes}.withDefaults().decompressLimit()
	in := newIntake(deps.Held.Share(), limit)
	r := &Reader{settings: settings, cluster: c, deps: deps, topic: topic, options: options, intake: in,
		short: map[int32]bool{}}
	in.short = r.foundShort
	return r, nil
}

func (r *Reader) foundShort(key topicPartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.short[key.partition] = true
}

func (r *Reader) open(ctx context.Context) error {
	from, until, err := span(ctx, r.settings, r.deps, r.topic, r.options)
	if err != nil {
		return err
	}
	at := map[int32]kgo.Offset{}
	r.left, r.at = map[int32]int64{}, map[int32]int64{}
	for number, offset := range from {
		if offset < until[number] {
			r.left[number] = until[number]
		} else if !r.options.Follow {
			continue
		}
		at[number] = kgo.NewOffset().At(offset).WithEpoch(-1)
		r.at[number] = offset
	}
	opts := append(r.cluster.kgoOptions(r.deps.Logger),
		fetching(r.intake, r.deps.Held, Source{}.withDefaults().FetchMax)...)
	r.client, err = kgo.NewClient(append(opts,
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
func span(ctx context.Context, settings Settings, deps Deps, topic string, options ReadOptions) (from,
	until map[int32]int64, err error) {
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
	r.intake.share.Give(r.given)
	r.given = 0
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
			if r.starved && r.given > 0 {
				return nil,
					fmt.Errorf("read topic %q: its last %d records of each partition need more memory than reading "+
						"may take: ask for fewer", r.topic, r.options.Last)
			}
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
	if fetches.IsClientClosed() {
		return nil, errors.New("read: the reader is closed")
	}
	r.mu.Lock()
	short := r.short
	r.short = map[int32]bool{}
	r.mu.Unlock()
	if pollCtx.Err() != nil && fetches.NumRecords() == 0 && len(short) == 0 {
		return nil, r.quiet(ctx)
	}
	r.starved = false
	var records []*handlers.Record
	var failed error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		// The memory is kept until the records are done with.
		taken, _ := r.intake.arrived(topicPartition{p.Topic, p.Partition})
		r.given += taken
		more, err := r.readable(ctx, p.Partition, p.Records, p.Err, short[p.Partition])
		records, failed = append(records, more...), errors.Join(failed, err)
		delete(short, p.Partition)
	})
	for number := range short {
		_, err := r.readable(ctx, number, nil, nil, true)
		failed = errors.Join(failed, err)
	}
	return records, failed
}

// quiet looks which of the partitions that yield nothing hold no record before their ends.
func (r *Reader) quiet(ctx context.Context) error {
	ids, err := topicIDs(ctx, r.client, []string{r.topic})
	if err != nil {
		return fmt.Errorf("read topic %q: %w", r.topic, err)
	}
	for number, end := range r.left {
		l := lookout{r.client, r.cluster, r.intake}
		next, err := l.next(ctx, r.topic, number, ids[r.topic], r.at[number], end)
		if err != nil {
			return fmt.Errorf("read %s/%d: whether there are more records is not known: %w", r.topic, number, err)
		}
		if next >= end {
			delete(r.left, number)
		}
	}
	return nil
}

// readable keeps of what was fetched of a partition what belongs to the span, as far
// as it can be read; reading goes on behind what can't.
func (r *Reader) readable(ctx context.Context, number int32, fetched []*kgo.Record, err error,
	short bool) ([]*handlers.Record, error) {
	noMemory := errors.As(err, new(*errNoMemory))
	r.starved = r.starved || noMemory
	if noMemory || errors.Is(err, context.DeadlineExceeded) {
		err = nil // it is fetched again
	}
	var bad *unread
	if err != nil || short {
		if bad, err = r.unreadable(ctx, number, err); err != nil {
			return nil, fmt.Errorf("read %s/%d: %w", r.topic, number, err)
		}
	}
	if bad == nil {
		return r.take(number, fetched), nil
	}
	if i := slices.IndexFunc(fetched, func(f *kgo.Record) bool { return f.Offset >= bad.first }); i >= 0 {
		fetched = fetched[:i]
	}
	records := r.take(number, fetched)
	end, bounded := r.left[number]
	if bounded && bad.next >= end {
		delete(r.left, number)
	}
	if bounded && bad.first < end || r.options.Follow {
		if r.options.OnUnreadable != nil {
			r.options.OnUnreadable(number, bad.first, bad.next, bad.err)
		} else {
			logged(r.deps.Logger, r.topic, number).Warn("records that can't be read are left out", "err", bad.err)
		}
	}
	r.at[number] = bad.next
	r.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{r.topic: {number: {Epoch: -1, Offset: bad.next}}})
	return records, nil
}

// unreadable finds what can't be read of a partition, where err or a batch of fewer
// records than it says is the sign of it. It returns err where nothing is found.
func (r *Reader) unreadable(ctx context.Context, number int32, err error) (*unread, error) {
	if errors.As(err, new(*kerr.Error)) {
		return nil, err
	}
	ids, failed := topicIDs(ctx, r.client, []string{r.topic})
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	bad, failed := lookout{r.client, r.cluster, r.intake}.find(ctx, r.topic, number, ids[r.topic], r.at[number])
	if bad != nil {
		return bad, nil
	}
	return nil, errors.Join(err, failed)
}

// take keeps what belongs to the span and notes how far the partition is.
func (r *Reader) take(number int32, fetched []*kgo.Record) []*handlers.Record {
	var records []*handlers.Record
	slots := slotsOf(fetched, 0)
	for i, f := range fetched {
		end, bounded := r.left[number]
		if !bounded && !r.options.Follow {
			break
		}
		r.at[number] = f.Offset + 1
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
	r.intake.share.Give(r.given)
	r.given = 0
	r.intake.close()
}
