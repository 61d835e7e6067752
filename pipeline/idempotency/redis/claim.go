package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Claim claims keys. One that is new, or whose effect is done, costs the server a
// plain command; what that can't judge is left to the script, in a second round
// trip.
func (s *Store) Claim(ctx context.Context, claims []idempotency.Claim) ([]idempotency.Verdict, error) {
	verdicts := make([]idempotency.Verdict, len(claims))
	left := upTo(len(claims))
	var err error
	if s.able.plain {
		left, err = s.claimPlainly(ctx, claims, verdicts)
	}
	if err == nil && len(left) > 0 {
		err = s.claimByScript(ctx, claims, left, verdicts)
	}
	if errors.As(err, new(*idempotency.ResetError)) {
		s.giveBack(ctx, claims, verdicts)
	}
	if err != nil {
		return nil, fmt.Errorf("claim keys: %w", err)
	}
	return verdicts, nil
}

// margin is how long before its caller gives up a plain claim has to be taken: far
// more than Redis's times, which are whole milliseconds, are rounded by.
const margin = 5 * time.Millisecond

// claimPlainly claims by SET … NX GET, and returns which claims are left to the
// script. That no row was there is only Go where the claim was taken in time: to
// others a row that was not is none.
func (s *Store) claimPlainly(ctx context.Context, claims []idempotency.Claim,
	verdicts []idempotency.Verdict) (left []int, err error) {
	now, late := s.clock.span(ctx)
	late -= margin.Microseconds()
	skew := s.skew.Load()
	calls := make([]call, len(claims), len(claims)+1)
	for i := range claims {
		c := &claims[i]
		lives := (lifeOf(c) + skew + 999) / 1000
		row := appendPlain(make([]byte, 0, rowSize), c, now+skew, late+skew)
		calls[i] = call{
			keys: []string{s.key(c.ID)},
			args: []string{rueidis.BinaryString(row), strconv.FormatInt(max(1, lives), 10)},
		}
	}
	// A key that stands in the batch once more is judged in its order.
	open := map[idempotency.ID]bool{}
	leave := func(i int) error {
		open[claims[i].ID] = true
		left = append(left, i)
		return nil
	}
	err = s.batch(ctx, calls, func(i int, r rueidis.RedisResult, done int64) error {
		c := &claims[i]
		raw, err := r.ToString()
		if rueidis.IsRedisNil(err) {
			if done > late || open[c.ID] {
				return leave(i)
			}
			verdicts[i].Answer = idempotency.Go
			return nil
		}
		if err != nil {
			return err
		}
		row, err := unpack(raw)
		if err != nil {
			return err
		}
		next, verdict := idempotency.ApplyClaim(row, c, instant(done+skew))
		// What a claim's row says of its times is not the last word.
		if row.State == idempotency.Claimed || next != row || open[c.ID] {
			return leave(i)
		}
		verdicts[i] = verdict
		return nil
	})
	return left, err
}

// claimByScript makes those of the claims whose indexes are given.
func (s *Store) claimByScript(ctx context.Context, claims []idempotency.Claim, which []int,
	verdicts []idempotency.Verdict) error {
	calls := s.each("claim", pick(claims, which))
	var err error
	for try := range claimTries {
		late := s.clock.late(ctx)
		for i := range calls {
			calls[i].args[argLate] = late
		}
		err = s.batch(ctx, calls, byRow(func(i int, said int64, row *idempotency.Row) {
			verdicts[which[i]] = idempotency.Verdict{Answer: idempotency.Answer(said), Row: row}
		}))
		if !s.clock.disagrees(err, late, try > 0) {
			break
		}
	}
	return err
}

// giveBack releases what a batch claimed before it learnt that the store had
// lost its memory. Where that fails, the leases run out.
func (s *Store) giveBack(ctx context.Context, claims []idempotency.Claim, verdicts []idempotency.Verdict) {
	var held []idempotency.Claim
	for i, v := range verdicts {
		if v.Answer == idempotency.Go || v.Answer == idempotency.GoUncertain {
			held = append(held, claims[i])
		}
	}
	_, _ = s.send(ctx, s.commands(s.each("release", held)), byRow(func(int, int64, *idempotency.Row) {}))
}

// upTo is the numbers from 0 to before n.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func pick(claims []idempotency.Claim, which []int) []idempotency.Claim {
	if len(which) == len(claims) {
		return claims
	}
	picked := make([]idempotency.Claim, len(which))
	for i, at := range which {
		picked[i] = claims[at]
	}
	return picked
}
