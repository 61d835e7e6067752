package decide

import (
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// The table, written out: what each answer of a store means under each setting that
// has a say in it.
func TestVerdicts(t *testing.T) {
	lax := &plan.Idempotency{OnConflict: plan.ActionDuplicate, OnUncertain: plan.ActionRetry}
	strict := &plan.Idempotency{OnConflict: plan.ActionDeadLetter, OnUncertain: plan.ActionPark}
	for _, c := range []struct {
		answer      idempotency.Answer
		lax, strict Verdict
	}{
		{idempotency.Go, Verdict{Goes: true}, Verdict{Goes: true}},
		{idempotency.GoUncertain, Verdict{Goes: true, Uncertain: true}, Verdict{Uncertain: true, Outcome: outcome.DeadLettered, Reason: "uncertain", Err: ErrUncertain}},
		{idempotency.Duplicate, Verdict{Outcome: outcome.Duplicate}, Verdict{Outcome: outcome.Duplicate}},
		{idempotency.Conflict, Verdict{Outcome: outcome.Duplicate, Reason: "conflict"}, Verdict{Outcome: outcome.DeadLettered, Reason: "conflict", Err: errConflict}},
		{idempotency.Busy, Verdict{Waits: true}, Verdict{Waits: true}},
		{idempotency.Parked, Verdict{Outcome: outcome.DeadLettered, Reason: "parked", Err: errParked}, Verdict{Outcome: outcome.DeadLettered, Reason: "parked", Err: errParked}},
	} {
		if got := VerdictOf(lax, c.answer); got != c.lax {
			t.Errorf("%v: %+v, want %+v", c.answer, got, c.lax)
		}
		if got := VerdictOf(strict, c.answer); got != c.strict {
			t.Errorf("%v, strict: %+v, want %+v", c.answer, got, c.strict)
		}
	}
}
