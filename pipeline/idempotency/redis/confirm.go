package redis

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/idempotency"
)

//go:embed confirm.lua
var confirmText string

// confirmSize bounds how many keys one run of the script confirms: nobody else is
// served meanwhile.
const confirmSize = 128

// Confirm records effects as done, as durably as Redis is set to. Claims that are
// no longer as they were made are judged one by one, in a second round trip.
func (s *Store) Confirm(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	states := make([]idempotency.TokenState, len(claims))
	left := upTo(len(claims))
	var err error
	if s.able.together {
		left, err = s.confirmTogether(ctx, claims, states)
	}
	if err != nil {
		return nil, fmt.Errorf("confirm claims: %w", err)
	}
	if len(left) == 0 {
		return states, nil
	}
	judged, err := s.states(ctx, "confirm", pick(claims, left))
	if err != nil {
		return nil, err
	}
	for i, state := range judged {
		states[left[i]] = state
	}
	return states, nil
}

// confirmTogether confirms what is still claimed, many keys at a time, and returns
// which claims are left.
func (s *Store) confirmTogether(ctx context.Context, claims []idempotency.Claim,
	states []idempotency.TokenState) (left []int, err error) {
	var calls []call
	var begins []int
	for from := 0; from < len(claims); {
		to := from + 1
		for to < len(claims) && to-from < confirmSize && claims[to].TTL == claims[from].TTL {
			to++
		}
		calls, begins = append(calls, s.confirmCall(claims[from:to])), append(begins, from)
		from = to
	}
	err = s.batch(ctx, calls, func(i int, r rueidis.RedisResult, _ int64) error {
		others, err := r.AsIntSlice()
		if err != nil {
			return err
		}
		for at := begins[i]; at < len(states) && (i+1 == len(begins) || at < begins[i+1]); at++ {
			states[at] = idempotency.Held
		}
		for _, n := range others {
			left = append(left, begins[i]+int(n)-1)
		}
		return nil
	})
	return left, err
}

// confirmCall confirms claims that have one TTL.
func (s *Store) confirmCall(claims []idempotency.Claim) call {
	c := call{
		script: s.confirms,
		keys:   make([]string, 0, len(claims)),
		args:   make([]string, 0, 2+3*len(claims)),
	}
	c.args = append(c.args, micros(claims[0].TTL), strconv.FormatInt(s.skew.Load(), 10))
	for i := range claims {
		claim := &claims[i]
		// One piece of memory for the three.
		text := appendToken(make([]byte, 0, rowSize), claim.Token)
		text = append(text, claim.Digest[:]...)
		all := rueidis.BinaryString(appendTail(text, claim, idempotency.ClipAnswer(claim.Answer)))
		c.keys = append(c.keys, s.key(claim.ID))
		c.args = append(c.args, all[:tokenSize], all[tokenSize:tokenSize+digestSize], all[tokenSize+digestSize:])
	}
	return c
}
