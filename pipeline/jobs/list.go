package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
)

// Query says which of the open letters are wanted. A letter is open where it is the
// latest of its record and sink and was not resolved.
type Query struct {
	// Reasons, Stages and Sinks keep letters of any of them; none keeps all. The empty
	// sink is that of records that were not decided.
	Reasons, Stages, Sinks []string
	// Since and Until bound when the record failed last, where they are set: from
	// Since on, and before Until.
	Since, Until time.Time
	// Round keeps letters of one round; 0 keeps all.
	Round int
	// Where, where set, is asked about the record as it was read from its source.
	Where func(*handlers.Record) bool
	// Newest is how many of them are found; below 1 there is no limit.
	Newest int
	// IDs, where set, keeps these letters alone.
	IDs map[ID]bool
	// MostRounds, above 0, leaves alone what is of a later round, and Known, where set,
	// what is of a sink that it does not name.
	MostRounds int
	Known      []string
	// Ends, where set, are the offsets up to which letters are kept, by partition. Those
	// behind still tell which letter is the latest.
	Ends map[int32]int64
	// Each, where set, is given what is found, in place of Found; and Late each letter
	// before Ends that was kept before one behind Ends took its place, a round on.
	Each, Late func(ID)
}

// Listing is what a topic of dead letters holds of one pipeline.
type Listing struct {
	// Groups are the open letters by what they have in common, the largest first.
	Groups []Group
	// Open counts them, Matching those that were asked for.
	Open, Matching int
	// Found are the newest of those, the oldest first.
	Found []ID
	// Exhausted and Orphans would match, and are left alone: what has been in too many
	// rounds, and by sink what is of none that is known.
	Exhausted int
	Orphans   map[string]int
	// Ends are where the topic ended, and TopicID is its id.
	Ends    map[int32]int64
	TopicID [16]byte

	// Resolved counts letters that were resolved, Others those of other pipelines, by
	// pipeline.
	Resolved int
	Others   map[string]int
	// Later counts letters that a later Millrace wrote, and Strange records that are no
	// letters: the errors are the first of each. Unreadable counts offsets.
	Later, Strange       int
	LaterErr, StrangeErr error
	Unreadable           int64
}

// Group are open letters with the same sink, stage and reason.
type Group struct {
	Sink, Stage, Reason string
	// Open counts them, Matching those that were asked for: Oldest and Newest are
	// when these failed last.
	Open, Matching int
	Oldest, Newest time.Time
}

// lettersPerPass bounds what is held in memory: of more letters, a part is looked at at
// a time. A letter takes about 100 bytes.
const lettersPerPass = 2_000_000

// clockError is by how much the clocks of those who write letters may differ.
const clockError = time.Hour

// List reads the letters up to the end of their topic as it is now. In memory it holds
// a bounded number of letters, without their records, and the ids that it finds.
func (l *Letters) List(ctx context.Context, q Query) (*Listing, error) {
	// What is resolved is read before the end is fixed: of a letter that is replaced
	// meanwhile at least the old one is found.
	return l.list(ctx, q, func(letters.Resolution) {})
}

// list is List, which tells also of every resolution that is read.
func (l *Letters) list(ctx context.Context, q Query, also func(letters.Resolution)) (*Listing, error) {
	topicID, err := l.topicID(ctx)
	if err != nil {
		return nil, err
	}
	done, err := l.resolved(ctx, topicID, also)
	if err != nil {
		return nil, err
	}
	starts, err := l.Admin.StartOffsets(ctx, l.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := l.Admin.EndOffsets(ctx, l.Topic)
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for number, end := range ends[l.Topic] {
		total += end - starts[l.Topic][number]
	}
	perPass := cmp.Or(l.perPass, lettersPerPass)
	f := newFold(l.Pipeline, q, done, uint64(max(1, (total+perPass-1)/perPass)))
	options := kafka.ReadOptions{Until: ends[l.Topic]}
	if q.Since.After(time.UnixMilli(0).Add(clockError)) {
		options.Since = q.Since.Add(-clockError)
	}
	for f.pass = range f.passes {
		first := f.pass == 0
		options.OnUnreadable = func(_ int32, from, next int64, _ error) {
			if first {
				f.out.Unreadable += next - from
			}
		}
		if err := l.read(ctx, l.Topic, options, f.add); err != nil {
			return nil, err
		}
		f.finishPass()
	}
	f.out.Ends, f.out.TopicID = ends[l.Topic], topicID
	return f.listing(), nil
}

// Each visits letters by their ids, those of one partition in order. Of one that is
// gone meanwhile nothing is said.
func (l *Letters) Each(ctx context.Context, ids []ID, visit func(*Letter) error) error {
	wanted := make(map[ID]bool, len(ids))
	from, until := map[int32]int64{}, map[int32]int64{}
	for _, id := range ids {
		wanted[id] = true
		if at, ok := from[id.Partition]; !ok || id.Offset < at {
			from[id.Partition] = id.Offset
		}
		until[id.Partition] = max(until[id.Partition], id.Offset+1)
	}
	if len(ids) == 0 {
		return nil
	}
	var failed error
	options := kafka.ReadOptions{Offsets: from, Until: until, OnUnreadable: func(int32, int64, int64, error) {}}
	err := l.read(ctx, l.Topic, options, func(r *handlers.Record) {
		if failed != nil || !wanted[ID{r.Partition, r.Offset}] {
			return
		}
		letter, err := letterOf(r)
		if err == nil {
			err = visit(&letter)
		}
		failed = err
	})
	return errors.Join(err, failed)
}

func letterOf(r *handlers.Record) (Letter, error) {
	l, err := letters.Decode(r)
	return Letter{Letter: l, ID: ID{r.Partition, r.Offset}, Time: r.Time}, err
}

// listing is what was found in all passes.
func (f *fold) listing() *Listing {
	out := f.out
	slices.SortStableFunc(f.groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Matching, a.Matching), cmp.Compare(b.Open, a.Open), cmp.Compare(a.Sink, b.Sink),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Stage, b.Stage))
	})
	out.Groups = slices.DeleteFunc(f.groups, func(g Group) bool { return g.Open == 0 })
	for _, found := range f.found {
		out.Found = append(out.Found, found.id)
	}
	return &out
}
