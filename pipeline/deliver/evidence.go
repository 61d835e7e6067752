package deliver

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// evidence is what a gate knows of how calls went lately: whether the system is
// at fault when one fails, or the record. The gate's mu guards it.
type evidence struct {
	// failures counts the times that the gate shut, or stayed so, since a call was
	// last taken; misses counts calls that failed as the system's may, in a row;
	// streak counts runs that were taken in a row.
	failures, misses, streak int
	// row holds different records that failed in a row.
	row map[string]bool
	// accused failed alone directly behind a row of calls that were taken; it is
	// convicted once as many are taken directly behind it.
	accused *job
}

// finding is how one run went, as far as the system is concerned.
type finding struct {
	// taken tells that a call was taken, or refused by a system that is there.
	taken bool
	// down tells that the system takes no calls, because of cause; asked is how
	// long it wants to be left alone.
	down  bool
	asked time.Duration
	cause error
	// missed tells of a failure that is the system's unless it is the record's,
	// failed of any that may be either's.
	missed, failed bool
	job            *job // the run's first
}

const (
	// suspectRow is how many different records, or failures of the system, in a
	// row make it the system's fault.
	suspectRow = 5
	// bracket is how many calls must be taken directly before and directly behind
	// one that failed, for the fault to be its record's. A receiver that fails
	// half of all calls by chance would let one record look guilty once in 128
	// times, and five times in a row never.
	bracket = 3
)

// suspect notes that rec failed in a way that is, or may be, the system's fault,
// and tells whether it now must be: five different records did so in a row, or the
// gate is shut, or has been since the run passed it.
func (g *gate) suspect(rec *handlers.Record, p pass) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut || p.era != g.era {
		return true
	}
	if g.row == nil {
		g.row = map[string]bool{}
	}
	if len(g.row) < suspectRow {
		g.row[rec.Coordinates()] = true
	}
	return len(g.row) >= suspectRow
}

// healthy tells whether the last calls were all taken. The caller holds mu.
func (g *gate) healthy() bool { return !g.shut && g.streak >= bracket }

// sound is healthy for callers that do not hold mu.
func (g *gate) sound() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.healthy()
}

// isOpen tells whether any number of runs may pass.
func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut && g.window == 0
}

// busy tells whether calls are made now that may show how the sink is.
func (g *gate) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside > 0 || len(g.waiters) > 0
}

// note takes a run's end as evidence, and tells whether too many failed in a row.
func (g *gate) note(p pass, f finding) (outage bool) {
	switch {
	case f.missed || f.failed:
		g.clear(f)
		if p.trial && f.missed {
			g.accused = f.job
		}
		if f.missed {
			g.misses++
		}
		return g.misses >= suspectRow
	case f.taken:
		g.row, g.misses = nil, 0
		if g.streak++; g.streak == bracket && g.accused != nil {
			g.accused.convicted.Add(1)
			g.accused = nil
		}
	}
	return false
}

// clear ends a row of calls that were taken, and acquits who was accused where
// others fail besides. What the accused meets again by itself says nothing new.
func (g *gate) clear(f finding) {
	g.streak = 0
	if g.accused != nil && g.accused != f.job {
		g.accused.convicted.Store(0)
		g.accused = nil
	}
}
