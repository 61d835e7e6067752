package memory

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Budget is what the process may hold of what comes from outside, as parts of its
// memory limit. They are several, so that nobody waits in a circle: who has bytes of
// Work never asks for bytes of Held, and ingest, which pipelines of the same process may
// post to, has bytes of its own.
type Budget struct {
	// Held is for what was fetched and is not finished.
	Held *Pool
	// Work is for what a record is decoded to, for as long as it is decided. Nobody keeps
	// any of it: who wants all of it gets it, and small records don't wait for that.
	Work *Account
	// Ingest is how many bytes HTTP requests may take, 0 for no limit.
	Ingest int64
}

const (
	heldPercent   = 40
	workPercent   = 20
	ingestPercent = 8
	// cgroupRatio is how much of a container's limit Go may use; the rest is for
	// what the runtime does not see.
	cgroupRatio = 0.9
)

// NewBudget makes the budget of a process that should use limit bytes, for a number
// of pipelines; 0 is no limit.
func NewBudget(limit int64, pipelines int) *Budget {
	if limit <= 0 {
		return &Budget{}
	}
	return &Budget{
		Held: NewPool(limit/100*heldPercent, pipelines),
		Work: NewTieredAccount(limit / 100 * workPercent), Ingest: limit / 100 * ingestPercent,
	}
}

// The places that a limit can come from.
const (
	FromEnvironment = "GOMEMLIMIT"
	FromCgroup      = "cgroup"
	FromMachine     = "machine"
)

// Limit is how much memory the process should use, and where that comes from:
// GOMEMLIMIT where it is set; else 90 % of the cgroup's limit, which becomes the
// runtime's own too; else half of what the machine has.
func Limit() (bytes int64, from string) {
	if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 {
		return set, FromEnvironment
	}
	if limit, err := memlimit.SetGoMemLimit(cgroupRatio); err == nil && limit > 0 {
		return limit, FromCgroup
	}
	machine, err := memlimit.FromSystem()
	if err != nil || machine == 0 {
		machine = 2 << 30
	}
	return int64(machine / 2), FromMachine
}
