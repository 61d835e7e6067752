package scenario

import (
	"context"
	"errors"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
	"github.com/millrace/millrace/pipeline/plan"
)

// errDead is what a process that has died is told, so that it does no more.
var errDead = errors.New("the process has died")

// store is the key store as one life of the process sees it.
type store struct {
	*memory.Store
	life *life
}

// Claim claims keys; the process may die of it.
func (s *store) Claim(ctx context.Context, claims []idempotency.Claim) ([]idempotency.Verdict, error) {
	if s.life.dead {
		return nil, errDead
	}
	verdicts, err := s.Store.Claim(ctx, claims)
	for i, v := range verdicts {
		if (v.Answer == idempotency.Go || v.Answer == idempotency.GoUncertain) &&
			s.life.reach(plan.CrashAfterClaim, s.of(claims[i])) {
			return nil, errDead
		}
	}
	return verdicts, err
}

// Confirm records effects as done; the process may die of it.
func (s *store) Confirm(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	if s.life.dead {
		return nil, errDead
	}
	states, err := s.Store.Confirm(ctx, claims)
	for i, state := range states {
		if state == idempotency.Held && s.life.reach(plan.CrashAfterConfirm, s.of(claims[i])) {
			return nil, errDead
		}
	}
	return states, err
}

// of is the record that a claim was made for.
func (s *store) of(c idempotency.Claim) *got {
	return s.life.in.at(c.Origin.Topic, c.Origin.Partition, c.Origin.Offset)
}

// Extend moves the deadlines of claims.
func (s *store) Extend(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	if s.life.dead {
		return nil, errDead
	}
	return s.Store.Extend(ctx, claims)
}

// Settle ends claims without a confirm.
func (s *store) Settle(ctx context.Context, claims []idempotency.Claim,
	as idempotency.Settlement) ([]idempotency.TokenState, error) {
	if s.life.dead {
		return nil, errDead
	}
	return s.Store.Settle(ctx, claims, as)
}

// Get looks keys up.
func (s *store) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	if s.life.dead {
		return nil, errDead
	}
	return s.Store.Get(ctx, ids)
}
