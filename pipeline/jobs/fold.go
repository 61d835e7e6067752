package jobs

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
)

// fold finds the open letters among all of a topic. Each pass holds those of a part of
// the records, of each record and sink the latest.
type fold struct {
	pipeline     string
	query        Query
	done         resolved
	pass, passes uint64
	seed         maphash.Seed

	latest map[subject]held
	topics map[source]int32
	sinks  map[string]int32
	kinds  map[Group]int32
	groups []Group
	found  []found
	out    Listing
}

// source is a topic that records were read from; one that was made again is another.
type source struct {
	name string
	id   [16]byte
}

// subject is what a letter is about: a record, and the sink that it is of.
type subject struct {
	topic, partition int32
	offset           int64
	sink             int32
}

// held is what is kept of a letter.
type held struct {
	id            ID
	at            time.Time
	group         int32
	round         int32
	open, matches bool
	leave         leave
}

// leave is why a letter that matches is left alone.
type leave byte

const (
	leaveNot leave = iota
	leaveExhausted
	leaveOrphan
)

// found is a letter that was asked for.
type found struct {
	id ID
	at time.Time
}

func newFold(pipeline string, q Query, done resolved, passes uint64) *fold {
	return &fold{
		pipeline: pipeline, query: q, done: done, passes: passes, seed: maphash.MakeSeed(),
		latest: map[subject]held{}, topics: map[source]int32{}, sinks: map[string]int32{}, kinds: map[Group]int32{},
		out: Listing{Others: map[string]int{}},
	}
}

// add takes the next record of the topic.
func (f *fold) add(r *handlers.Record) {
	l, err := letters.Decode(r)
	id := ID{r.Partition, r.Offset}
	if f.pass == 0 {
		f.count(&l, id, err)
	}
	if err != nil || l.Pipeline != f.pipeline {
		return
	}
	about := subject{
		number(f.topics, source{l.Record.Topic, l.TopicID}), l.Record.Partition, l.Record.Offset,
		number(f.sinks, l.Sink),
	}
	if f.passes > 1 && maphash.Comparable(f.seed, about)%f.passes != f.pass {
		return
	}
	h := held{id: id, at: lastTime(&l, r.Time), round: int32(l.Round), open: !f.done.has(id)}
	// One that was replaced never counts, wherever the clocks put its successor.
	earlier, ok := f.latest[about]
	behind := ok && !h.after(earlier)
	if f.done.replaced(id) || behind && f.query.Late == nil {
		return
	}
	if h.open {
		h.group = f.groupOf(&l)
		h.matches = f.query.before(id) && f.query.matches(&l, id, h.at)
		h.leave = f.query.leaves(&l)
	}
	if ok && behind {
		f.late(h, earlier)
		return
	}
	if ok {
		f.late(earlier, h)
	}
	f.latest[about] = h
}

// late tells of a letter that was kept before the one that came of it.
func (f *fold) late(old, next held) {
	q := &f.query
	if q.Late != nil && old.matches && old.leave == leaveNot && !q.before(next.id) && next.round == old.round+1 {
		q.Late(old.id)
	}
}

// count counts a record of the topic as what it is.
func (f *fold) count(l *letters.Letter, id ID, err error) {
	switch {
	case errors.As(err, new(*letters.VersionError)):
		f.out.Later++
		f.out.LaterErr = cmp.Or(f.out.LaterErr, err)
	case err != nil:
		f.out.Strange++
		f.out.StrangeErr = cmp.Or(f.out.StrangeErr, err)
	case l.Pipeline != f.pipeline:
		f.out.Others[l.Pipeline]++
	case f.done.has(id):
		f.out.Resolved++
	}
}

// after tells which of two letters of the same record and sink is later. Letters lie in
// the partition that their record's key gives them, mostly the same one, whose order is
// certain; the clocks of several writers are not.
func (h *held) after(other held) bool {
	if h.id.Partition == other.id.Partition {
		return h.id.Offset > other.id.Offset
	}
	return cmp.Or(h.at.Compare(other.at), cmp.Compare(h.id.Partition, other.id.Partition)) > 0
}

func (f *fold) groupOf(l *letters.Letter) int32 {
	kind := Group{Sink: l.Sink, Stage: l.Stage, Reason: l.Reason}
	n := number(f.kinds, kind)
	if int(n) == len(f.groups) {
		f.groups = append(f.groups, kind)
	}
	return n
}

// number gives each of the things that it meets a number, from 0 on.
func number[T comparable](seen map[T]int32, it T) int32 {
	n, ok := seen[it]
	if !ok {
		n = int32(len(seen))
		seen[it] = n
	}
	return n
}

// before tells whether a letter lies before the ends.
func (q *Query) before(id ID) bool { return q.Ends == nil || id.Offset < q.Ends[id.Partition] }

// leaves tells whether a letter is left alone, and why.
func (q *Query) leaves(l *letters.Letter) leave {
	switch {
	case q.Known != nil && l.Sink != "" && !slices.Contains(q.Known, l.Sink):
		return leaveOrphan
	case q.MostRounds > 0 && l.Round > q.MostRounds:
		return leaveExhausted
	}
	return leaveNot
}

func (q *Query) matches(l *letters.Letter, id ID, at time.Time) bool {
	among := func(list []string, text string) bool { return len(list) == 0 || slices.Contains(list, text) }
	return among(q.Reasons, l.Reason) && among(q.Stages, l.Stage) && among(q.Sinks, l.Sink) &&
		(q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until)) &&
		(q.IDs == nil || q.IDs[id]) && (q.Round == 0 || q.Round == l.Round) && (q.Where == nil || q.Where(&l.Record))
}

// finishPass counts what the pass held, and keeps of it what was asked for.
func (f *fold) finishPass() {
	for _, h := range f.latest {
		if !h.open {
			continue
		}
		g := &f.groups[h.group]
		f.out.Open++
		switch g.Open++; {
		case !h.matches:
			continue
		case h.leave == leaveExhausted:
			f.out.Exhausted++
			continue
		case h.leave == leaveOrphan:
			if f.out.Orphans == nil {
				f.out.Orphans = map[string]int{}
			}
			f.out.Orphans[g.Sink]++
			continue
		}
		f.out.Matching++
		if g.Matching++; g.Oldest.IsZero() || h.at.Before(g.Oldest) {
			g.Oldest = h.at
		}
		if h.at.After(g.Newest) {
			g.Newest = h.at
		}
		if f.query.Each != nil {
			f.query.Each(h.id)
			continue
		}
		f.found = append(f.found, found{h.id, h.at})
	}
	clear(f.latest)
	slices.SortFunc(f.found, func(a, b found) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id.Partition, b.id.Partition),
			cmp.Compare(a.id.Offset, b.id.Offset))
	})
	if n := f.query.Newest; n > 0 && len(f.found) > n {
		f.found = slices.Clone(f.found[len(f.found)-n:])
	}
}

// resolved are the letters that were resolved, and of these those that another letter
// replaced, by partition. A bit stands for a letter.
type resolved struct{ all, old map[int32]*bits }

func (r resolved) has(id ID) bool      { return r.all[id.Partition].has(id.Offset) }
func (r resolved) replaced(id ID) bool { return r.old[id.Partition].has(id.Offset) }

// resolved reads which letters were resolved of the topic with an id.
func (l *Letters) resolved(ctx context.Context, topicID [16]byte, also func(letters.Resolution)) (resolved, error) {
	done := resolved{map[int32]*bits{}, map[int32]*bits{}}
	starts, err := l.Admin.StartOffsets(ctx, l.Topic)
	if err != nil {
		return done, err
	}
	ends, err := l.Admin.EndOffsets(ctx, l.Topic)
	if err != nil {
		return done, err
	}
	for number, start := range starts[l.Topic] {
		done.all[number] = &bits{start: start, end: ends[l.Topic][number]}
		done.old[number] = &bits{start: start, end: ends[l.Topic][number]}
	}
	err = l.resolutions(ctx, topicID, func(r letters.Resolution, back bool, _ error) {
		done.all[r.Letter.Partition].set(r.Letter.Offset, !back)
		done.old[r.Letter.Partition].set(r.Letter.Offset, r.How == letters.Replaced)
		also(r)
	})
	return done, err
}

// bits are a set of the offsets from start up to end; nil is empty.
type bits struct {
	start, end int64
	words      []uint64
}

func (b *bits) set(offset int64, in bool) {
	if b == nil || offset < b.start || offset >= b.end {
		return
	}
	word, bit := (offset-b.start)/64, uint64(1)<<((offset-b.start)%64)
	switch {
	case int(word) < len(b.words) && !in:
		b.words[word] &^= bit
	case in:
		if grow := int(word) + 1 - len(b.words); grow > 0 {
			b.words = append(b.words, make([]uint64, grow)...)
		}
		b.words[word] |= bit
	}
}

func (b *bits) has(offset int64) bool {
	if b == nil || offset < b.start || offset >= b.end {
		return false
	}
	word := (offset - b.start) / 64
	return int(word) < len(b.words) && b.words[word]&(1<<((offset-b.start)%64)) != 0
}
