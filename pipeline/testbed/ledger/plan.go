//go:build unix

package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// record is one record of the source. Records with the same id are the same
// record sent again, byte for byte.
type record struct {
	ID   string `json:"id"`
	Seq  int    `json:"seq"`
	Key  string `json:"key"`
	Kind string `json:"kind"`
	// Bad tells that receivers always refuse it with 422.
	Bad bool `json:"bad,omitempty"`
}

// kinds choose the topic that copies writes to; that of the last is made late.
var kinds = []string{"info", "info", "info", "warn", "warn", late}

const late = "late"

// maker makes the records of a seed, one after the other.
type maker struct {
	random *rand.Rand
	made   []record
}

func newMaker(seed uint64) *maker { return &maker{random: rand.New(rand.NewPCG(seed, 1))} }

// next is a new record, or, each fourth time, one of the last 200 once more.
func (m *maker) next() record {
	if n := len(m.made); n > 20 && m.random.IntN(4) == 0 {
		return m.made[n-1-m.random.IntN(min(n, 200))]
	}
	seq := len(m.made)
	rec := record{
		ID: fmt.Sprint("i", seq), Seq: seq, Key: fmt.Sprint("k", m.random.IntN(120)),
		Kind: kinds[m.random.IntN(len(kinds))], Bad: m.random.IntN(100) == 0,
	}
	m.made = append(m.made, rec)
	return rec
}

// act is one fault of a schedule.
type act struct {
	Fault   Fault
	Replica int
}

// schedule is the faults of a seed, more than there is time for.
func schedule(o Options) []act {
	random := rand.New(rand.NewPCG(o.Seed, 2))
	round := slices.Clone(o.Faults)
	if round == nil {
		for _, f := range everyFault {
			if o.Redis != nil || !f.redis() {
				round = append(round, f)
			}
		}
		shuffle(random, round)
	}
	var acts []act
	for len(acts) < 1000 {
		for _, f := range round {
			acts = append(acts, act{f, random.IntN(o.Replicas)})
		}
		shuffle(random, round)
	}
	return acts
}

func shuffle(random *rand.Rand, faults []Fault) {
	random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
}

// window is a span of time.
type window struct{ from, to time.Time }

func (w window) holds(t time.Time) bool { return !t.Before(w.from) && !t.After(w.to) }
