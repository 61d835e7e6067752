package decide

import (
	"errors"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Verdict is what a key store's answer to a claim means for the write: it goes, it
// waits, or it has ended without a call.
type Verdict struct {
	// Goes tells that the sink is to be called; Waits that somebody else holds the key,
	// so that it is to be asked for again.
	Goes, Waits bool
	// Uncertain tells that an earlier holder went silent: its effect may have happened.
	Uncertain bool
	// Outcome and Reason are how a write ends that neither goes nor waits, Err why it
	// belongs into the dead letters, where it does.
	Outcome outcome.Outcome
	Reason  string
	Err     error
}

// What dead letters say of the writes that no sink was called for.
var (
	ErrUncertain = errors.New("an earlier holder of the key went silent: its effect may have happened")
	errConflict  = errors.New("the key is done, with other content")
	errParked    = errors.New("the key is parked: its record lies in the dead letters")
)

// VerdictOf is the one table of what answers mean, for runs, dry runs and explanations.
func VerdictOf(guard *plan.Idempotency, answer idempotency.Answer) Verdict {
	switch answer {
	case idempotency.Go:
		return Verdict{Goes: true}
	case idempotency.GoUncertain:
		if guard.OnUncertain == plan.ActionPark {
			return Verdict{Uncertain: true, Outcome: outcome.DeadLettered, Reason: outcome.ReasonUncertain,
				Err: ErrUncertain}
		}
		return Verdict{Goes: true, Uncertain: true}
	case idempotency.Duplicate:
		return Verdict{Outcome: outcome.Duplicate}
	case idempotency.Conflict:
		if guard.OnConflict == plan.ActionDeadLetter {
			return Verdict{Outcome: outcome.DeadLettered, Reason: outcome.ReasonConflict, Err: errConflict}
		}
		return Verdict{Outcome: outcome.Duplicate, Reason: outcome.ReasonConflict}
	case idempotency.Parked:
		return Verdict{Outcome: outcome.DeadLettered, Reason: outcome.ReasonParked, Err: errParked}
	default:
		return Verdict{Waits: true}
	}
}

// ClaimOf is the claim of a decision's write to a sink, but for its token.
func ClaimOf(guard *plan.Idempotency, pipeline, sink string, dec *Decision, rec *handlers.Record) idempotency.Claim {
	claim := idempotency.Claim{
		ID:     idempotency.Identity(pipeline, sink, guard.Generation, dec.Key),
		Digest: dec.Digest, TTL: guard.TTL, Lease: guard.Lease,
		Origin: idempotency.Origin{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset},
	}
	if guard.OnConflict == plan.ActionProcess {
		claim.Override |= idempotency.OverConflict
	}
	return claim
}
