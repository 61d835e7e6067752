package idempotency

import (
	"time"
	"unicode/utf8"
)

// Forget is the least time that a claimed or a parked row is kept, whatever the
// key's TTL: a dead claim must be found as uncertain, not as new.
const Forget = 7 * 24 * time.Hour

// maxAnswer bounds what a row keeps of the sink's answer, in bytes.
const maxAnswer = 64

// The Apply functions are the state machine: what a call does to the row of its
// key at the store's time now. They are pure and never change the row that they
// are given, which is nil where the key has none. The row that they return is
// the one given where nothing changes, nil where the row is to be removed, and
// a new one otherwise. Every store does what they do.

// ApplyClaim claims a key.
//
// Repeating a claim with the token that already holds it, after its answer was
// lost, gives the same answer again.
//
// A lease that has longer to run than it is long was made before the store's clock
// went back: from then on it runs anew, so that a dead holder's claim is found
// within one lease, and a living one's is extended before.
func ApplyClaim(row *Row, c *Claim, now time.Time) (*Row, Verdict) {
	found := Alive(row, now)
	answer := answerTo(found, c, now)
	verdict := Verdict{Answer: answer, Row: found}
	if answer == Busy && found.Deadline.After(now.Add(found.Lease)) {
		next := *found
		next.Deadline = now.Add(found.Lease)
		return &next, verdict
	}
	if answer != Go && answer != GoUncertain {
		return row, verdict
	}
	next := newRow(c, now)
	next.State = Claimed
	next.Uncertain = answer == GoUncertain
	next.Deadline = now.Add(c.Lease)
	next.Expires = now.Add(max(c.TTL, Forget))
	if found != nil && found.State == Claimed {
		next.Answer = found.Answer
	}
	return next, verdict
}

func answerTo(found *Row, c *Claim, now time.Time) Answer {
	switch {
	case found == nil:
		return Go
	case found.State == ParkedState:
		if c.Override&OverParked != 0 {
			return Go
		}
		return Parked
	case found.State == Confirmed:
		if found.Digest == c.Digest {
			return Duplicate
		}
		if c.Override&OverConflict != 0 {
			return Go
		}
		return Conflict
	case found.Token == c.Token && !found.Uncertain:
		return Go
	case found.Token == c.Token, !now.Before(found.Deadline):
		return GoUncertain
	default:
		return Busy
	}
}

// ApplyExtend moves the deadline of a claim one lease into the future, and notes
// what its holder has met, if it says so. A claim whose lease ran out is still its
// holder's as long as nobody took it. A key without a row is Lost: an extension
// that comes late must not bring back a claim that was released.
func ApplyExtend(row *Row, c *Claim, now time.Time) (*Row, TokenState) {
	found := Alive(row, now)
	if found == nil || found.Token != c.Token || found.State == ParkedState {
		return row, Lost
	}
	if found.State == Confirmed {
		return row, Held
	}
	next := *found
	next.Deadline = now.Add(c.Lease)
	next.Expires = now.Add(max(c.TTL, Forget))
	if c.Answer != "" {
		next.Answer = ClipAnswer(c.Answer)
	}
	return &next, Held
}

// ApplyConfirm records an effect as done. A key without a row was forgotten by
// the store and is confirmed all the same. Confirming twice is Held twice.
func ApplyConfirm(row *Row, c *Claim, now time.Time) (*Row, TokenState) {
	found := Alive(row, now)
	if found != nil && found.held() && (found.Token != c.Token || found.State == ParkedState) {
		return row, Lost
	}
	if found != nil && found.State == Confirmed {
		return row, Held
	}
	next := newRow(c, now)
	if found != nil {
		next.ClaimedAt = found.ClaimedAt
	}
	next.State = Confirmed
	next.ConfirmedAt = now
	next.Expires = now.Add(c.TTL)
	next.Answer = ClipAnswer(c.Answer)
	return next, Held
}

// ApplySettle ends a claim without a confirm.
//
// A released claim that had taken over from a silent holder leaves a row that
// nobody holds and whose lease is over: its own effect is known not to have
// happened, the silent one's is not, and the next claim must be told.
func ApplySettle(row *Row, c *Claim, as Settlement, now time.Time) (*Row, TokenState) {
	found := Alive(row, now)
	switch {
	case found == nil:
		if as == Released {
			return row, Held
		}
		return row, Lost
	case found.Token != c.Token || found.State == Confirmed:
		return row, Lost
	case found.State == ParkedState:
		if as == ParkedAway {
			return row, Held
		}
		return row, Lost
	case as == Released && found.Uncertain:
		next := *found
		next.Token, next.Deadline = Token{}, now
		return &next, Held
	case as == Released:
		return nil, Held
	}
	next := *found
	next.State = ParkedState
	next.Expires = now.Add(max(c.TTL, Forget))
	return &next, Held
}

// Alive is the row where there still is one at now: nil for one that expired.
func Alive(row *Row, now time.Time) *Row {
	if row == nil || !now.Before(row.Expires) {
		return nil
	}
	return row
}

// held tells whether the row is anybody's.
func (r *Row) held() bool { return r.Token != Token{} }

func newRow(c *Claim, now time.Time) *Row {
	return &Row{
		Token:     c.Token,
		Holder:    c.Holder,
		Origin:    c.Origin,
		Digest:    c.Digest,
		ClaimedAt: now,
		Lease:     c.Lease,
		TTL:       c.TTL,
	}
}

// ClipAnswer cuts what the sink said to what a row keeps of it.
func ClipAnswer(answer string) string { return clip(answer, maxAnswer) }

// clip cuts text to at most size bytes, between characters.
func clip(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}
