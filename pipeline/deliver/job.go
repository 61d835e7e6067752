package deliver

import (
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// job is one write of one record on its way through claim, write and confirm.
type job struct {
	index int
	rec   *handlers.Record // the source record
	call  handlers.Call
	key   string
	claim idempotency.Claim

	// held tells that the claim is ours, since its renewal at the latest; keeper
	// reads and moves both under the errand's mu.
	held    bool
	renewed time.Time
	// asked tells that a claim was sent and its answer is not known.
	asked bool
	// lost is set by the keeper when the claim went to somebody else.
	lost atomic.Bool
	// maybe tells that an attempt's fate is unknown: the claim must stay.
	maybe bool
	// cut tells that a stop ended its last call.
	cut bool
	// repeated tells that the sink's system knew the effect from before.
	repeated bool
	// unguarded tells that the store was down and `on_store_error` is process.
	unguarded bool
	finished  bool
	// aside tells that it waits for a part of the sink's system.
	aside bool
	// stuck tells that it belongs into dead letters that are off.
	stuck bool
	// stands is what is told of it where the pipeline stands at it, nil where not.
	stands *Standing
	// chased tells that a stop goes on with it, see chase.
	chased bool

	// tries counts writes; judged counts those that speak against the record.
	tries, judged int
	// accused tells that its last failure is the system's unless it is its own;
	// convicted counts those that only it can have been at fault for, in a row.
	accused   bool
	convicted atomic.Int32
	// seen is how many runs its sink had taken when it was last refused.
	seen  int64
	polls int
	took  time.Duration // its last write
	next  time.Time
	first error
	last  error
	// firstAt and lastAt are when it failed first, and last.
	firstAt, lastAt time.Time
}

// failed notes when and why the job failed; its last failure says what follows.
func (j *job) failed(f *handlers.Failure, at time.Time) {
	j.last, j.lastAt = f, at
	if j.first == nil {
		j.first, j.firstAt = f.Err, at
	}
}
