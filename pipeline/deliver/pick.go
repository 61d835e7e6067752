package deliver

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
)

// pick chooses the next run: jobs that are due, in order, no key twice, none
// behind an unfinished one of its order, and no more than the sink takes. One that
// is accused goes alone. When none is due it says how long until one is.
func (e *errand) pick(now time.Time) (run []*job, wait time.Duration) {
	for len(e.jobs) > 0 && e.jobs[0].finished {
		e.jobs = e.jobs[1:]
	}
	if 2*e.left < len(e.jobs) {
		e.jobs = slices.DeleteFunc(e.jobs, func(j *job) bool { return j.finished })
	}
	var blocked map[string]bool
	var ids map[idempotency.ID]bool
	wait = time.Second
	limit := min(e.gate.limit, e.d.pace.burst())
	block := func(j *job) {
		if blocked == nil {
			blocked = map[string]bool{}
		}
		blocked[e.orderKey(j)] = true
	}
	for _, j := range e.jobs {
		if e.rests(j) {
			continue
		}
		if len(blocked) > 0 && blocked[e.orderKey(j)] {
			e.awayFor(j, now) // it may stand in line behind the other
			continue
		}
		if due := e.dueIn(j, now); due > 0 {
			wait = min(wait, due)
			block(j)
			continue
		}
		if j.accused {
			if len(run) == 0 {
				e.gate.tries(j, now)
				return []*job{j}, 0
			}
			block(j)
			continue
		}
		if e.d.guard != nil && limit > 1 {
			if ids[j.claim.ID] {
				block(j)
				continue
			}
			if ids == nil {
				ids = make(map[idempotency.ID]bool, min(limit, e.left))
			}
			ids[j.claim.ID] = true
		}
		e.gate.tries(j, now)
		if run = append(run, j); len(run) == limit {
			break
		}
	}
	return run, wait
}

// dueIn is how long a job is not to be written yet. One that is accused waits, for
// a while and while there are others, until these were taken: only then its failure
// tells something.
func (e *errand) dueIn(j *job, now time.Time) time.Duration {
	if wait := j.next.Sub(now); wait > 0 {
		return wait
	}
	if j.accused && now.Sub(j.next) < accusedHold && !e.gate.sound() && e.gate.busy() {
		return accusedPoll
	}
	return e.awayFor(j, now)
}

// accusedHold is how long one that is accused waits for others to be taken, and
// accusedPoll how often it looks.
const (
	accusedHold = maxPause
	accusedPoll = 20 * time.Millisecond
)

// candidate chooses what goes through a gate that is shut or narrow: of the first
// unfinished job of each order one that was not tried yet, and each time from
// another place, so that a row of records that are refused can't make the sink
// look down for ever. Each fourth time it is the first of those that were tried.
func (e *errand) candidate(p pass, run []*job) []*job {
	now := e.d.timing.Now()
	seen := map[string]bool{}
	var fresh, tried []*job
	for _, j := range e.jobs {
		key := e.orderKey(j)
		if e.rests(j) || seen[key] {
			continue
		}
		seen[key] = true
		switch {
		case j.polls > 0 && j.next.After(now): // its key or the store is waited for
		case j.accused && !p.probe: // its turn is a trial
		case e.awayFor(j, now) > 0:
		case j.tries == 0:
			fresh = append(fresh, j)
		default:
			tried = append(tried, j)
		}
	}
	n := e.gate.turns.Add(1)
	if len(tried) > 0 && n%4 == 0 {
		return tried[:1]
	}
	if len(fresh) == 0 {
		fresh = tried
	}
	if len(fresh) == 0 {
		return run[:1]
	}
	_, turn := math.Modf(float64(n) * math.Phi)
	at := int(turn * float64(len(fresh)))
	return fresh[at : at+1]
}

// orderOf is what keeps rec in order: its key, nothing at all where the whole
// partition stays in order, its offset where nothing does.
func orderOf(order kafka.Order, rec *handlers.Record) []byte {
	switch order {
	case kafka.OrderPartition:
		return nil
	case kafka.OrderNone:
		return strconv.AppendInt(nil, rec.Offset, 10)
	default:
		return rec.Key
	}
}

// orderKey is what keeps j behind earlier jobs: its order, within the part of the
// sink's system that it goes to.
func (e *errand) orderKey(j *job) string {
	return e.gate.scopeOf(j) + "\x00" + string(j.call.Order)
}

// fresh tells whether the errand has a record that was never tried.
func (e *errand) fresh() bool {
	for _, j := range e.jobs {
		if !e.rests(j) && j.tries == 0 {
			return true
		}
	}
	return false
}
