package outcome

// Outcome is how one record ended: the first that holds.
type Outcome string

// The outcomes, one word each, the same in every output.
const (
	DeadLettered Outcome = "dead_lettered"
	Delivered    Outcome = "delivered"
	Duplicate    Outcome = "duplicate"
	Filtered     Outcome = "filtered"
	Unmatched    Outcome = "unmatched"
	Dropped      Outcome = "dropped"
)

// The words that say why a record has its outcome, where that alone does not say
// it. A failure to decide is the word of its stage, such as key_failed, or
// too_costly in whichever stage.
const (
	ReasonFilter     = "filter"
	ReasonTombstone  = "tombstone"
	ReasonUnmatched  = "unmatched"
	ReasonUnreadable = "unreadable"
	ReasonTooCostly  = "too_costly"
	ReasonRefused    = "refused"
	ReasonAttempts   = "attempts"
	ReasonUncertain  = "uncertain"
	ReasonConflict   = "conflict"
	ReasonParked     = "parked"
	ReasonRepeated   = "repeated"
	ReasonUnguarded  = "unguarded"
	// ReasonForgotten is of a record that a replay leaves out: it may have been done so
	// long ago that its key is forgotten.
	ReasonForgotten = "forgotten"
	// ReasonSkipped is that of a record that a person let its pipeline go past.
	ReasonSkipped = "skipped"
	// ReasonSourceGone is of a dead letter that a redrive leaves as it is: it lacks a part
	// of its record, which its source does not hold any more.
	ReasonSourceGone = "source_gone"
	// ReasonDiscarded is of a dead letter that a person has no use for.
	ReasonDiscarded = "discarded"
)

// All are all outcomes in the order in which they are shown.
func All() [6]Outcome {
	return [6]Outcome{Delivered, Duplicate, Filtered, Unmatched, Dropped, DeadLettered}
}

// How a test finds a record that has no outcome, because it is not finished.
const (
	// Stopped is the record that stopped its pipeline.
	Stopped Outcome = "stopped"
	// Blocked is a record that the pipeline waits with, without end.
	Blocked Outcome = "blocked"
	// Waiting is a record behind one of those.
	Waiting Outcome = "waiting"
)

// Endings are the words that an expectation can name as outcome.
func Endings() []string {
	var all []string
	for _, o := range All() {
		all = append(all, string(o))
	}
	return append(all, string(Stopped), string(Blocked), string(Waiting))
}

// Reasons are the words that say why an outcome is as it is.
func Reasons() []string {
	all := []string{ReasonFilter, ReasonTombstone, ReasonUnmatched, ReasonUnreadable}
	for _, s := range []Stage{StageDecode, StageFilter, StageKey, StageTransform, StageRoute, StageRender} {
		all = append(all, string(s)+"_failed")
	}
	return append(all, ReasonTooCostly, ReasonRefused, ReasonAttempts, ReasonUncertain, ReasonConflict, ReasonParked,
		ReasonUnguarded)
}

// Stages are the words for where a record failed.
func Stages() []string {
	var all []string
	for _, s := range []Stage{StageDecode, StageFilter, StageKey, StageTransform, StageRoute, StageRender, StageClaim,
		StageWrite} {
		all = append(all, string(s))
	}
	return all
}

// Over tells whether o stands before other: of several writes of a record the first
// in the order dead_lettered, delivered, dropped, duplicate is the record's outcome: it is
// a duplicate only where each of its writes was.
func (o Outcome) Over(other Outcome) bool { return o.rank() > other.rank() }

func (o Outcome) rank() int {
	switch o {
	case DeadLettered:
		return 4
	case Delivered:
		return 3
	case Dropped:
		return 2
	case Duplicate:
		return 1
	default:
		return 0
	}
}

// Stage is the step of a record's way that a failure happened in.
type Stage string

// The stages, in order. All but StageWrite and StageClaim belong to decide.
const (
	StageDecode    Stage = "decode"
	StageFilter    Stage = "filter"
	StageKey       Stage = "key"
	StageTransform Stage = "transform"
	StageRoute     Stage = "route"
	StageRender    Stage = "render"
	StageClaim     Stage = "claim"
	StageWrite     Stage = "write"
)
