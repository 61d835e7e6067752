package deliver

import (
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/plan"
)

// chase makes the errand go on, after a stop, with the calls that may have taken
// effect, and tells whether there are any. Where `on_uncertain` is park, the next
// start could only park them: it does not know what this one does, that they may be
// made again. What lies behind another call of its order is not made before that.
func (e *errand) chase() bool {
	if e.d.guard == nil || e.d.guard.plan.OnUncertain != plan.ActionPark {
		return false
	}
	e.chasing = true
	left := map[string]bool{}
	for _, j := range e.jobs {
		key := e.orderKey(j)
		if j.chased = !j.finished && j.maybe && !j.stuck && !left[key]; !j.chased && !j.finished {
			left[key] = true
		}
	}
	return e.busy()
}

// busy tells whether anything is left to do.
func (e *errand) busy() bool {
	return e.left > 0 && (!e.chasing || slices.ContainsFunc(e.jobs, func(j *job) bool { return !e.rests(j) }))
}

// rests tells that nothing is to be done about a job: it is finished, or a stop
// leaves it to the next start.
func (e *errand) rests(j *job) bool { return j.finished || e.chasing && !(j.chased && j.held) }

// yield lets what is not in order behind the errand's jobs come beside them.
func (e *errand) yield() {
	if now := e.d.timing.Now(); now.Sub(e.yielded) >= yieldEvery {
		e.yielded = now
		e.w.batch.Waits()
	}
}

// yieldEvery is how often an errand that waits looks for what is free to go.
const yieldEvery = 200 * time.Millisecond
