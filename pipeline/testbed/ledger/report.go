//go:build unix

package ledger

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// Report is what the books say in the end.
type Report struct {
	// Line holds the seed and all figures.
	Line string
	// Wrong is what must not be, each in a line.
	Wrong []string
}

// report closes the books.
func (r *run) report(left int64) *Report {
	b := r.books
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := b.lost()
	killed, unanswered := b.repeated()
	b.disorder()
	letters := b.judgeLetters()
	b.committedEarly(ended)
	if left > 0 {
		b.complain("left", "%d records were not committed a minute after the last one", left)
	}
	records, effects := 0, 0
	for _, ids := range b.log {
		records += len(ids)
	}
	for _, all := range b.effects {
		effects += len(all)
	}
	return &Report{
		Line: fmt.Sprintf("ledger seed=%d time=%s replicas=%d: %d records of %d ids, %d effects, "+
			"twice %d by a kill and %d by a lost answer; dead letters: %s; wrong: %s; faults: %s",
			r.Seed, r.Time, r.Replicas, records, len(b.records), effects, killed, unanswered, figures(letters),
			figures(b.kinds), figures(b.happened)),
		Wrong: b.wrong,
	}
}

func figures[K ~string](counts map[K]int) string {
	if len(counts) == 0 {
		return "nothing"
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(all, ", ")
}

// most is how many lines are kept of each kind of wrong.
const most = 5

// complain notes something that is wrong, by its kind.
func (b *books) complain(kind, format string, args ...any) {
	if b.kinds[kind]++; b.kinds[kind] <= most {
		b.wrong = append(b.wrong, kind+": "+fmt.Sprintf(format, args...))
	}
}

// lost finds, over all sinks, the records that neither took effect nor were
// dead-lettered. It returns when each record had ended, by pipeline and id.
func (b *books) lost() map[string]map[string]time.Time {
	ended := map[string]map[string]time.Time{}
	for pipeline, names := range sinks {
		ended[pipeline] = map[string]time.Time{}
		for _, sink := range names {
			first := map[string]time.Time{}
			for _, e := range b.effects[sink] {
				if _, ok := first[e.id]; !ok {
					first[e.id] = e.at
				}
			}
			for _, l := range b.letters[pipeline] {
				if at, ok := first[l.id]; !ok || l.at.Before(at) {
					first[l.id] = l.at
				}
			}
			for id := range b.records {
				at, ok := first[id]
				if !ok {
					b.complain("lost at "+sink, "%s at %v", id, b.places[id])
				}
				if at.After(ended[pipeline][id]) {
					ended[pipeline][id] = at
				}
			}
		}
	}
	return ended
}

// repeated tells, of each effect that came once more, what explains it.
func (b *books) repeated() (killed, unanswered int) {
	for pipeline, names := range sinks {
		for _, sink := range names {
			last := map[string]effect{}
			seen := map[string]int{}
			for _, e := range b.effects[sink] {
				before, ok := last[e.id]
				// Without keys, every record of the source makes an effect of its own,
				// and each kill one more of those that were open.
				extra := 1
				if pipeline == plain {
					extra = seen[e.id] + 1 - len(b.places[e.id])
				}
				if !ok || pipeline != plain {
					last[e.id] = e
				}
				seen[e.id]++
				switch {
				case !ok, extra <= 0:
				case b.closed(pipeline, e):
					b.complain("twice at "+sink+" behind a dead letter", "%s at %s, of %v: %s", e.id, clock(e.at),
						b.places[e.id], b.story(pipeline, e.id))
				case before.lost:
					unanswered++
				case pipeline != parked && b.deaths(pipeline, before, e) >= extra:
					killed++
				default:
					b.complain("twice at "+sink, "%s at %s and at %s, of %v", e.id, clock(before.at), clock(e.at),
						b.places[e.id])
				}
			}
		}
	}
	return killed, unanswered
}

// story is all that happened to the records of an id.
func (b *books) story(pipeline, id string) string {
	var parts []string
	for _, e := range b.effects[pipeline] {
		if e.id == id {
			parts = append(parts, fmt.Sprintf("effect %s lost %v", clock(e.at), e.lost))
		}
	}
	for _, l := range b.letters[pipeline] {
		if l.id == id {
			parts = append(parts, fmt.Sprintf("letter %s %s: %s", clock(l.at), l.reason, l.text))
		}
	}
	return strings.Join(parts, "; ")
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// closed tells whether a record was dead-lettered between an effect of its own
// and e: its key is parked, and nothing may be made of it any more. A process that ended
// between the effect and the letter may have taken with it that there was one.
func (b *books) closed(pipeline string, e effect) bool {
	for _, l := range b.letters[pipeline] {
		if l.id != e.id || !l.at.Before(e.at.Add(-slack)) {
			continue
		}
		for _, other := range b.effects[pipeline] {
			forgotten := b.forgets && pipeline != parked && slices.ContainsFunc(b.stops, func(s stop) bool {
				return s.at.After(other.at) && s.at.Before(l.at)
			})
			if other.id == e.id && other.at.Before(l.at) && !forgotten {
				return true
			}
		}
	}
	return false
}

// deaths counts the records that a process was killed with between their effect
// and their commit, and where there are keys, between the effect and its confirm.
func (b *books) deaths(pipeline string, before, e effect) (n int) {
	for _, s := range b.stops {
		if !s.killed || before.at.After(s.at.Add(slack)) || e.at.Before(s.at) {
			continue
		}
		if pipeline == plain || !s.at.After(b.confirmed(before.done)) {
			n += b.open(pipeline, e.id, s)
		}
	}
	return n
}

// confirmed is when an effect was surely confirmed, had its process lived.
func (b *books) confirmed(done time.Time) time.Time {
	by := done.Add(2 * slack)
	for _, w := range b.away {
		if w.holds(done) || w.holds(by) {
			by = w.to.Add(5 * slack)
		}
	}
	return by
}

// open is how many records of an id had come and were not committed when a
// process ended.
func (b *books) open(pipeline, id string, s stop) (n int) {
	for _, p := range b.places[id] {
		if p.sent.Before(s.at.Add(slack)) && p.offset >= s.committed[pipeline][p.partition] {
			n++
		}
	}
	return n
}

// disorder finds the first effects that came before one of an earlier record of
// the same key, at one place.
func (b *books) disorder() {
	for sink, all := range b.effects {
		seen := map[string]bool{}
		last := map[string]effect{}
		for _, e := range all {
			if seen[e.id] {
				continue
			}
			seen[e.id] = true
			at := e.place + " " + e.key
			if e.seq < last[at].seq {
				b.complain("order at "+sink, "%s of %s came at %s, after %s at %s",
					e.id, e.key, clock(e.at), last[at].id, clock(last[at].at))
			}
			last[at] = e
		}
	}
}

// judgeLetters finds the dead letters that nothing explains, and counts all by
// their reason.
func (b *books) judgeLetters() map[string]int {
	all := map[string]int{}
	cut, kills := 0, 0
	for pipeline, letters := range b.letters {
		before := map[string]bool{}
		// A call that was reset when its receiver closed is known to its caller alone.
		resets := b.closings[pipeline] * b.processes
		for _, l := range letters {
			expected := b.expected(pipeline, l, before[l.id])
			if !expected && pipeline == parked && l.reason == "uncertain" && resets > 0 {
				resets, expected = resets-1, true
			}
			if !expected {
				b.complain("dead letter "+l.reason+" of "+pipeline, "%s at %s, of %v: %s",
					l.id, clock(l.at), b.places[l.id], l.text)
			}
			before[l.id] = true
			all[l.reason+" of "+pipeline]++
			if l.reason == "uncertain" && !b.doubts[pipeline][l.id] {
				cut++
			}
		}
	}
	for _, s := range b.stops {
		if s.killed {
			kills++
		}
	}
	if cut > kills*inFlight {
		b.complain("dead letter", "%d are uncertain, and %d kills can cut off %d calls at most", cut, kills,
			kills*inFlight)
	}
	return all
}

// inFlight is how many calls a process has under way at most: one in each lane.
const inFlight = 8 * partitions

// expected tells whether a dead letter is what a receiver or a kill makes of a
// record. Again is whether there was one of that record before.
func (b *books) expected(pipeline string, l letter, again bool) bool {
	if pipeline != calls && pipeline != parked {
		return false
	}
	switch l.reason {
	case "refused":
		return b.records[l.id].Bad || b.happened[Again] > 0 && b.doubts[pipeline][l.id]
	case "parked":
		return again
	case "uncertain":
		return pipeline == parked && slices.ContainsFunc(b.stops, func(s stop) bool {
			return s.at.Before(l.at) && (s.killed && b.open(pipeline, l.id, s) > 0 ||
				!s.killed && b.doubts[pipeline][l.id])
		})
	}
	return false
}

// committedEarly finds the records that a group had committed and that had not
// ended then.
func (b *books) committedEarly(ended map[string]map[string]time.Time) {
	sort.Slice(b.samples, func(i, j int) bool { return b.samples[i].at.Before(b.samples[j].at) })
	for pipeline := range sinks {
		done := map[int32]int64{}
		for _, s := range b.samples {
			for partition, to := range s.committed[pipeline] {
				for ; done[partition] < min(to, int64(len(b.log[partition]))); done[partition]++ {
					id := b.log[partition][done[partition]]
					if ended[pipeline][id].After(s.at.Add(slack)) {
						b.complain("committed early by "+pipeline, "%s, partition %d offset %d, by %s, and ended at %s",
							id, partition, done[partition], clock(s.at), clock(ended[pipeline][id]))
					}
				}
			}
		}
	}
}
