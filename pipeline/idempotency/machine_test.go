package idempotency

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ttl   = 8 * 24 * time.Hour
	lease = 30 * time.Second
)

var (
	mine   = Token{Run: [16]byte{1}, Seq: 1}
	theirs = Token{Run: [16]byte{2}, Seq: 1}
	same   = DigestOf([]byte("same"))
	other  = DigestOf([]byte("other"))
)

func claimBy(token Token, digest Digest) *Claim {
	return &Claim{
		Token: token, Digest: digest, TTL: ttl, Lease: lease, Answer: "202",
		Holder: Holder{Host: "h", PID: 1}, Origin: Origin{Topic: "t", Offset: 9},
	}
}

func claimedRow(token Token, at time.Time) *Row {
	row, _ := ApplyClaim(nil, claimBy(token, same), at)
	return row
}

func confirmedRow(token Token, at time.Time) *Row {
	row, _ := ApplyConfirm(claimedRow(token, at), claimBy(token, same), at)
	return row
}

func parkedRow(token Token, at time.Time) *Row {
	row, _ := ApplySettle(claimedRow(token, at), claimBy(token, same), ParkedAway, at)
	return row
}

// takenOver is a row that mine took over from a silent holder.
func takenOver(at time.Time) *Row {
	row, _ := ApplyClaim(claimedRow(theirs, at.Add(-lease)), claimBy(mine, same), at)
	return row
}

func TestApplyClaim(t *testing.T) {
	now := anHour
	redrive := claimBy(mine, same)
	redrive.Override = OverParked
	process := claimBy(mine, other)
	process.Override = OverConflict
	plain := claimBy(mine, same)
	cases := map[string]struct {
		row   *Row
		claim *Claim
		want  Answer
	}{
		"absent":                       {nil, plain, Go},
		"confirmed past its ttl":       {confirmedRow(theirs, now.Add(-ttl)), plain, Go},
		"confirmed, same digest":       {confirmedRow(theirs, now.Add(-ttl+1)), plain, Duplicate},
		"confirmed by the same token":  {confirmedRow(mine, now), plain, Duplicate},
		"confirmed, other digest":      {confirmedRow(theirs, now), claimBy(mine, other), Conflict},
		"conflict processed":           {confirmedRow(theirs, now), process, Go},
		"same digest, over conflict":   {confirmedRow(theirs, now), &Claim{Digest: same, Override: OverConflict}, Duplicate},
		"lease running":                {claimedRow(theirs, now.Add(-lease+1)), plain, Busy},
		"clock went back":              {claimedRow(theirs, now.Add(time.Hour)), plain, Busy},
		"lease run out":                {claimedRow(theirs, now.Add(-lease)), plain, GoUncertain},
		"lease running, redrive":       {claimedRow(theirs, now), redrive, Busy},
		"dead claim, almost forgotten": {claimedRow(theirs, now.Add(-ttl+1)), plain, GoUncertain},
		"dead claim, forgotten":        {claimedRow(theirs, now.Add(-ttl)), plain, Go},
		"repeated":                     {claimedRow(mine, now), plain, Go},
		"repeated late":                {claimedRow(mine, now.Add(-2*lease)), plain, Go},
		"repeated takeover":            {takenOver(now), plain, GoUncertain},
		"parked":                       {parkedRow(theirs, now), plain, Parked},
		"parked by the same token":     {parkedRow(mine, now), plain, Parked},
		"parked, over conflict":        {parkedRow(theirs, now), process, Parked},
		"parked, redrive":              {parkedRow(theirs, now), redrive, Go},
		"parked, forgotten":            {parkedRow(theirs, now.Add(-ttl)), plain, Go},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := copyRow(c.row)
			next, verdict := ApplyClaim(c.row, c.claim, now)
			if verdict.Answer != c.want {
				t.Fatalf("answer is %v, want %v", verdict.Answer, c.want)
			}
			if diff := cmp.Diff(before, c.row); diff != "" {
				t.Errorf("the row given was changed:\n%s", diff)
			}
			if verdict.Row != Alive(c.row, now) {
				t.Errorf("the verdict shows %v", verdict.Row)
			}
			if strings.HasPrefix(name, "clock went back") {
				want := *c.row
				want.Deadline = now.Add(lease)
				if diff := cmp.Diff(&want, next); diff != "" {
					t.Errorf("row (-want +got):\n%s", diff)
				}
				return
			}
			if c.want != Go && c.want != GoUncertain {
				if next != c.row {
					t.Errorf("row became %+v", next)
				}
				return
			}
			want := &Row{
				State: Claimed, Token: c.claim.Token, Holder: c.claim.Holder, Origin: c.claim.Origin,
				Digest: c.claim.Digest, ClaimedAt: now, Deadline: now.Add(lease), Expires: now.Add(ttl),
				Lease: lease, TTL: ttl, Uncertain: c.want == GoUncertain,
			}
			if diff := cmp.Diff(want, next); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShortTTLKeepsClaimsAWeek(t *testing.T) {
	short := claimBy(mine, same)
	short.TTL = time.Hour
	claimed, _ := ApplyClaim(nil, short, anHour)
	parked, _ := ApplySettle(claimed, short, ParkedAway, anHour)
	confirmed, _ := ApplyConfirm(claimed, short, anHour)
	for _, c := range []struct {
		row  *Row
		want time.Duration
	}{{claimed, Forget}, {parked, Forget}, {confirmed, time.Hour}} {
		if got := c.row.Expires.Sub(anHour); got != c.want {
			t.Errorf("a %v row is kept %v, want %v", c.row.State, got, c.want)
		}
	}
}

func TestApplyExtend(t *testing.T) {
	now := anHour
	cases := map[string]struct {
		row   *Row
		want  TokenState
		moved bool
	}{
		"mine":                {claimedRow(mine, now.Add(-lease/3)), Held, true},
		"mine, lease run out": {claimedRow(mine, now.Add(-2*lease)), Held, true},
		"mine, taken over":    {takenOver(now.Add(-1)), Held, true},
		"another's":           {claimedRow(theirs, now), Lost, false},
		"confirmed by me":     {confirmedRow(mine, now), Held, false},
		"confirmed by other":  {confirmedRow(theirs, now), Lost, false},
		"parked by me":        {parkedRow(mine, now), Lost, false},
		"parked by another":   {parkedRow(theirs, now), Lost, false},
		"absent":              {nil, Lost, false},
		"forgotten":           {claimedRow(mine, now.Add(-ttl)), Lost, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			next, state := ApplyExtend(c.row, claimBy(mine, same), now)
			if state != c.want {
				t.Errorf("state is %v, want %v", state, c.want)
			}
			want := copyRow(c.row)
			if c.moved {
				want.Deadline, want.Expires, want.Answer = now.Add(lease), now.Add(ttl), "202"
			}
			if diff := cmp.Diff(want, next); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyConfirm(t *testing.T) {
	now := anHour
	nobodys, _ := ApplySettle(takenOver(now), claimBy(mine, same), Released, now)
	cases := map[string]struct {
		row     *Row
		want    TokenState
		written bool
	}{
		"mine":                           {claimedRow(mine, now.Add(-time.Second)), Held, true},
		"mine, lease run out":            {claimedRow(mine, now.Add(-2*lease)), Held, true},
		"mine, taken over":               {takenOver(now), Held, true},
		"forgotten by the store":         {nil, Held, true},
		"claim expired":                  {claimedRow(theirs, now.Add(-ttl)), Held, true},
		"nobody's after a release":       {nobodys, Held, true},
		"another's":                      {claimedRow(theirs, now), Lost, false},
		"another's, lease run out":       {claimedRow(theirs, now.Add(-2*lease)), Lost, false},
		"confirmed by me":                {confirmedRow(mine, now.Add(-time.Second)), Held, false},
		"confirmed by another":           {confirmedRow(theirs, now), Lost, false},
		"confirmed by another, past ttl": {confirmedRow(theirs, now.Add(-ttl)), Held, true},
		"parked by me":                   {parkedRow(mine, now), Lost, false},
		"parked by another":              {parkedRow(theirs, now), Lost, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claim := claimBy(mine, same)
			next, state := ApplyConfirm(c.row, claim, now)
			if state != c.want {
				t.Errorf("state is %v, want %v", state, c.want)
			}
			if !c.written {
				if next != c.row {
					t.Errorf("row became %+v", next)
				}
				return
			}
			want := &Row{
				State: Confirmed, Token: mine, Holder: claim.Holder, Origin: claim.Origin, Digest: same,
				ClaimedAt: now, ConfirmedAt: now, Expires: now.Add(ttl), Lease: lease, TTL: ttl, Answer: "202",
			}
			if found := Alive(c.row, now); found != nil {
				want.ClaimedAt = found.ClaimedAt
			}
			if diff := cmp.Diff(want, next); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfirmKeepsAShortAnswer(t *testing.T) {
	claim := claimBy(mine, same)
	claim.Answer = strings.Repeat("é", 100)
	row, _ := ApplyConfirm(nil, claim, anHour)
	if row.Answer != strings.Repeat("é", 32) {
		t.Errorf("answer is %q", row.Answer)
	}
}

func TestApplySettle(t *testing.T) {
	now := anHour
	type outcome struct {
		state TokenState
		// next is what becomes of the row: same, absent, parked or nobody's.
		next string
	}
	cases := map[string]struct {
		row              *Row
		released, parked outcome
	}{
		"mine":                 {claimedRow(mine, now), outcome{Held, "absent"}, outcome{Held, "parked"}},
		"mine, lease run out":  {claimedRow(mine, now.Add(-2*lease)), outcome{Held, "absent"}, outcome{Held, "parked"}},
		"mine, taken over":     {takenOver(now), outcome{Held, "nobody's"}, outcome{Held, "parked"}},
		"another's":            {claimedRow(theirs, now), outcome{Lost, "same"}, outcome{Lost, "same"}},
		"absent":               {nil, outcome{Held, "same"}, outcome{Lost, "same"}},
		"confirmed by me":      {confirmedRow(mine, now), outcome{Lost, "same"}, outcome{Lost, "same"}},
		"confirmed by another": {confirmedRow(theirs, now), outcome{Lost, "same"}, outcome{Lost, "same"}},
		"parked by me":         {parkedRow(mine, now), outcome{Lost, "same"}, outcome{Held, "same"}},
		"parked by another":    {parkedRow(theirs, now), outcome{Lost, "same"}, outcome{Lost, "same"}},
	}
	for name, c := range cases {
		for as, want := range map[Settlement]outcome{Released: c.released, ParkedAway: c.parked} {
			t.Run(name+", "+as.String(), func(t *testing.T) {
				next, state := ApplySettle(c.row, claimBy(mine, same), as, now)
				if state != want.state {
					t.Errorf("state is %v, want %v", state, want.state)
				}
				if got := became(c.row, next, now); got != want.next {
					t.Errorf("row is %s, want %s: %+v", got, want.next, next)
				}
			})
		}
	}
}

func became(row, next *Row, now time.Time) string {
	switch {
	case next == row:
		return "same"
	case next == nil:
		return "absent"
	case next.State == ParkedState && next.Token == row.Token && next.Expires.Equal(now.Add(ttl)):
		return "parked"
	case next.State == Claimed && next.Token == Token{} && !now.Before(next.Deadline):
		return "nobody's"
	default:
		return "otherwise"
	}
}

// A silent holder's effect stays uncertain when the one who took over gives up
// before it tried.
func TestReleaseKeepsUncertainty(t *testing.T) {
	now := anHour
	row, _ := ApplySettle(takenOver(now), claimBy(mine, same), Released, now)
	next, verdict := ApplyClaim(row, claimBy(mine, same), now)
	if verdict.Answer != GoUncertain || !next.Uncertain {
		t.Errorf("claimed again: %v, %+v", verdict.Answer, next)
	}
	if _, state := ApplyExtend(row, claimBy(mine, same), now); state != Lost {
		t.Errorf("a late extension revives a released claim: %v", state)
	}
}

func copyRow(row *Row) *Row {
	if row == nil {
		return nil
	}
	c := *row
	return &c
}
