package deliver

import (
	"github.com/millrace/millrace/pipeline/plan"
	"slices"
)

// chase makes the lane go on, after a stop, with the calls that may have taken
// effect, and tells whether there are any. Where `on_uncertain` is park, the next
// start could only park them: it does not know what this one does, that they may be
// made again. What lies behind another call of its order is not made before that.
func (l *lane) chase() bool {
	if l.d.guard == nil || l.d.guard.plan.OnUncertain != plan.ActionPark {
		return false
	}
	l.chasing = true
	left := map[string]bool{}
	for _, j := range l.jobs {
		key := l.orderKey(j)
		if j.chased = !j.finished && j.maybe && !j.stuck && !left[key]; !j.chased && !j.finished {
			left[key] = true
		}
	}
	return l.busy()
}

// busy tells whether anything is left to do.
func (l *lane) busy() bool {
	return l.left > 0 && (!l.chasing || slices.ContainsFunc(l.jobs, func(j *job) bool { return !l.rests(j) }))
}

// rests tells that nothing is to be done about a job: it is finished, or a stop
// leaves it to the next start.
func (l *lane) rests(j *job) bool { return j.finished || l.chasing && !(j.chased && j.held) }
