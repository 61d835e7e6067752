package pipeline

import (
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// The table, written out: what each answer of a store means under each setting that
// has a say in it.
func TestVerdicts(t *testing.T) {
	lax := &IdempotencyPlan{OnConflict: ActionDuplicate, OnUncertain: ActionRetry}
	strict := &IdempotencyPlan{OnConflict: ActionDeadLetter, OnUncertain: ActionPark}
	for _, c := range []struct {
		answer      idempotency.Answer
		lax, strict Verdict
	}{
		{idempotency.Go, Verdict{Goes: true}, Verdict{Goes: true}},
		{idempotency.GoUncertain, Verdict{Goes: true, Uncertain: true}, Verdict{Uncertain: true, Outcome: DeadLettered, Reason: "uncertain", Err: errUncertain}},
		{idempotency.Duplicate, Verdict{Outcome: Duplicate}, Verdict{Outcome: Duplicate}},
		{idempotency.Conflict, Verdict{Outcome: Duplicate, Reason: "conflict"}, Verdict{Outcome: DeadLettered, Reason: "conflict", Err: errConflict}},
		{idempotency.Busy, Verdict{Waits: true}, Verdict{Waits: true}},
		{idempotency.Parked, Verdict{Outcome: DeadLettered, Reason: "parked", Err: errParked}, Verdict{Outcome: DeadLettered, Reason: "parked", Err: errParked}},
	} {
		if got := VerdictOf(lax, c.answer); got != c.lax {
			t.Errorf("%v: %+v, want %+v", c.answer, got, c.lax)
		}
		if got := VerdictOf(strict, c.answer); got != c.strict {
			t.Errorf("%v, strict: %+v, want %+v", c.answer, got, c.strict)
		}
	}
}
