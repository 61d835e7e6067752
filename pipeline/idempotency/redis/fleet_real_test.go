//go:build real

package redis

import (
	"context"
	_ "embed"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// theScriptBefore is that of the releases that did all by it.
//
//go:embed testdata/row.v1.lua
var theScriptBefore string

// older makes a store what it was in the releases before plain claims.
func (s *Store) older() *Store {
	s.rows, s.able = newScript(theScriptBefore), ability{}
	return s
}

// Rows as the first releases wrote them on 2 January 2026, byte for byte.
var rowsBefore = map[string]string{
	"claimed": "01010072756e206f66206c6f6e672061676f2e0000000000000102ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" +
		"0006475ef64cf54200000000000000000006475ef816b8c2000647ffe507f5420000000001c9c380000000a0eebb0000" +
		"000e6f726465725f696e766f69636573065408776f726b65722d31ce4906373237353665",
	"confirmed": "01020072756e206f66206c6f6e672061676f2e0000000000000102ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" +
		"0006475ef64cf7170006475ef64cf81b0000000000000000000647ffe507f81b0000000001c9c380000000a0eebb0000" +
		"0c3230322041636365707465640e6f726465725f696e766f69636573065408776f726b65722d31ce4906373237353665",
	"parked": "01030072756e206f66206c6f6e672061676f2e0000000000000102ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" +
		"0006475ef64cf97200000000000000000006475ef816bcf2000647ffe507fa750000000001c9c380000000a0eebb0000" +
		"000e6f726465725f696e766f69636573065408776f726b65722d31ce4906373237353665",
}

// holderBefore made the claims of those rows.
func holderBefore(what string) idempotency.Claim {
	return idempotency.Claim{
		ID:     idempotency.Identity("p", "s", 1, what),
		Token:  idempotency.Token{Run: [16]byte([]byte("run of long ago.")), Seq: 258},
		Digest: idempotency.DigestOf([]byte("content")),
		Holder: idempotency.Holder{Host: "worker-1", PID: 4711, Run: "72756e"},
		Origin: idempotency.Origin{Topic: "order_invoices", Partition: 3, Offset: 42},
		TTL:    8 * 24 * time.Hour, Lease: 30 * time.Second,
	}
}

func TestRealRowsOfEarlierReleases(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	expire := at.Add(8 * 24 * time.Hour)
	type step struct {
		later    time.Duration
		op       string
		override idempotency.Override
		want     idempotency.Answer
	}
	both := []step{{op: "claim", want: idempotency.Busy}, {later: 25 * time.Second, op: "claim", want: idempotency.Busy},
		{later: 6 * time.Second, op: "claim", want: idempotency.GoUncertain}}
	for name, c := range map[string]struct {
		what  string
		row   idempotency.Row
		steps []step
	}{
		"claimed, its holder gone": {"claimed", idempotency.Row{State: idempotency.Claimed, Deadline: at.Add(30 * time.Second)}, both},
		"claimed, then confirmed": {"claimed", idempotency.Row{State: idempotency.Claimed, Deadline: at.Add(30 * time.Second)},
			[]step{{op: "confirm"}, {op: "claim", want: idempotency.Duplicate}}},
		"confirmed": {"confirmed", idempotency.Row{State: idempotency.Confirmed, ConfirmedAt: at, Answer: "202 Accepted"},
			[]step{{op: "claim", want: idempotency.Duplicate}, {op: "other content", want: idempotency.Conflict},
				{op: "other content", override: idempotency.OverConflict, want: idempotency.Go}}},
		"confirmed, past its ttl": {"confirmed", idempotency.Row{State: idempotency.Confirmed, ConfirmedAt: at, Answer: "202 Accepted"},
			[]step{{later: 8*24*time.Hour + time.Second, op: "claim", want: idempotency.Go}}},
		"parked": {"parked", idempotency.Row{State: idempotency.ParkedState, Deadline: at.Add(30 * time.Second)},
			[]step{{op: "claim", want: idempotency.Parked}, {op: "claim", override: idempotency.OverParked, want: idempotency.Go}}},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t, startServer(t).url(""), Options{})
			store.skew.Store(time.Until(at.Add(time.Second)).Microseconds())
			holder := holderBefore(c.what)
			raw, err := hex.DecodeString(rowsBefore[c.what])
			if err != nil {
				t.Fatal(err)
			}
			store.do(t, "SET", store.key(holder.ID), string(raw), "PX", "691200000")
			rows, err := store.Get(t.Context(), []idempotency.ID{holder.ID})
			if err != nil || rows[0] == nil {
				t.Fatal(rows, err)
			}
			want := c.row
			want.Token, want.Holder, want.Origin, want.Digest, want.Lease, want.TTL = holder.Token, holder.Holder, holder.Origin, holder.Digest, holder.Lease, holder.TTL
			want.ClaimedAt, want.Expires = at, expire
			near := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < 10*time.Millisecond })
			if diff := cmp.Diff(want, *rows[0], near); diff != "" {
				t.Errorf("it is read as (-want +got):\n%s", diff)
			}
			run := idempotency.NewRun()
			for i, s := range c.steps {
				store.skew.Add(s.later.Microseconds())
				if s.op == "confirm" {
					if states, err := store.Confirm(t.Context(), []idempotency.Claim{holder}); err != nil || states[0] != idempotency.Held {
						t.Fatalf("step %d: %v, %v", i, states, err)
					}
					continue
				}
				claim := holder
				claim.Token, claim.Override = run.Next(), s.override
				if s.op == "other content" {
					claim.Digest = idempotency.DigestOf(nil)
				}
				if answer, err := store.one(t, claim); err != nil || answer != s.want {
					t.Fatalf("step %d: %v, %v, want %v", i, answer, err, s.want)
				}
			}
		})
	}
}

// fleet is a process of this release and one of those before, on one Redis.
type fleet struct {
	t          *testing.T
	now, older *Store
	run        *idempotency.Run
}

func (f *fleet) advance(d time.Duration) {
	f.now.skew.Add(d.Microseconds())
	f.older.skew.Add(d.Microseconds())
}

func (f *fleet) claim(s *Store, c idempotency.Claim, want idempotency.Answer) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	if verdicts, err := s.Claim(ctx, []idempotency.Claim{c}); err != nil || verdicts[0].Answer != want {
		f.t.Fatalf("claim: %v, %v, want %v", verdicts, err, want)
	}
}

func (f *fleet) again(c idempotency.Claim) idempotency.Claim {
	c.Token = f.run.Next()
	return c
}

func (f *fleet) confirm(s *Store, c idempotency.Claim, want idempotency.TokenState) {
	f.t.Helper()
	if states, err := s.Confirm(f.t.Context(), []idempotency.Claim{c}); err != nil || states[0] != want {
		f.t.Fatalf("confirm: %v, %v, want %v", states, err, want)
	}
}

// Whoever of the two asks, nobody goes while the other holds a key, and what the
// other finished is done. Only when a silent holder is taken over differs: to the
// older one a plain claim's lease counts from when its caller would have given up.
func TestRealFleetOfTwoReleases(t *testing.T) {
	server := startServer(t)
	for name, test := range map[string]func(f *fleet, first, second *Store, c idempotency.Claim){
		"done": func(f *fleet, first, second *Store, c idempotency.Claim) {
			f.claim(first, c, idempotency.Go)
			f.claim(second, f.again(c), idempotency.Busy)
			f.claim(first, f.again(c), idempotency.Busy)
			f.claim(first, c, idempotency.Go)
			f.confirm(second, f.again(c), idempotency.Lost)
			f.confirm(first, c, idempotency.Held)
			f.confirm(first, c, idempotency.Held)
			f.claim(second, f.again(c), idempotency.Duplicate)
		},
		"extended": func(f *fleet, first, second *Store, c idempotency.Claim) {
			f.claim(first, c, idempotency.Go)
			for range 10 {
				f.advance(c.Lease - time.Second)
				f.claim(second, f.again(c), idempotency.Busy)
				if states, err := first.Extend(f.t.Context(), []idempotency.Claim{c}); err != nil || states[0] != idempotency.Held {
					f.t.Fatal(states, err)
				}
			}
			f.confirm(first, c, idempotency.Held)
		},
		"silent": func(f *fleet, first, second *Store, c idempotency.Claim) {
			f.claim(first, c, idempotency.Go)
			f.claim(second, f.again(c), idempotency.Busy)
			f.advance(c.Lease - time.Second)
			f.claim(second, f.again(c), idempotency.Busy)
			f.advance(12 * time.Second) // 10 s of it are the deadline of the claim's caller
			taken := f.again(c)
			f.claim(second, taken, idempotency.GoUncertain)
			f.confirm(first, c, idempotency.Lost)
			f.confirm(second, taken, idempotency.Held)
			f.claim(first, f.again(c), idempotency.Duplicate)
		},
		"parked": func(f *fleet, first, second *Store, c idempotency.Claim) {
			f.claim(first, c, idempotency.Go)
			if states, err := first.Settle(f.t.Context(), []idempotency.Claim{c}, idempotency.ParkedAway); err != nil || states[0] != idempotency.Held {
				f.t.Fatal(states, err)
			}
			f.claim(second, f.again(c), idempotency.Parked)
			redrive := f.again(c)
			redrive.Override = idempotency.OverParked
			f.claim(second, redrive, idempotency.Go)
			f.confirm(second, redrive, idempotency.Held)
		},
		"released": func(f *fleet, first, second *Store, c idempotency.Claim) {
			f.claim(first, c, idempotency.Go)
			f.claim(second, f.again(c), idempotency.Busy)
			if states, err := first.Settle(f.t.Context(), []idempotency.Claim{c}, idempotency.Released); err != nil || states[0] != idempotency.Held {
				f.t.Fatal(states, err)
			}
			f.claim(second, f.again(c), idempotency.Go)
		},
	} {
		f := &fleet{now: open(t, server.url(""), Options{}), older: open(t, server.url(""), Options{}).older(), run: idempotency.NewRun()}
		for order, two := range map[string][2]*Store{"claimed by the newer": {f.now, f.older}, "claimed by the older": {f.older, f.now}} {
			t.Run(name+", "+order, func(t *testing.T) {
				f.t = t
				test(f, two[0], two[1], aClaim(f.run))
			})
		}
	}
}

// An earlier release that finds a plain claim writes it again, and a server may be
// held up just then: the key ends later, and the claim is no late one for that.
func TestRealFleetRewritesAClaim(t *testing.T) {
	server := startServer(t)
	f := &fleet{t: t, now: open(t, server.url(""), Options{}), older: open(t, server.url(""), Options{}).older(), run: idempotency.NewRun()}
	c := aClaim(f.run)
	f.claim(f.now, c, idempotency.Go)
	f.claim(f.older, f.again(c), idempotency.Busy)
	f.now.do(t, "PEXPIRE", f.now.key(c.ID), strconv.FormatInt((idempotency.Forget+time.Minute).Milliseconds(), 10))
	f.claim(f.now, f.again(c), idempotency.Busy)
	f.confirm(f.now, c, idempotency.Held)
}

// However many of both ask for a key at once, one goes.
func TestRealFleetAtOneKey(t *testing.T) {
	server := startServer(t)
	stores := []*Store{open(t, server.url(""), Options{}), open(t, server.url(""), Options{}).older()}
	run := idempotency.NewRun()
	for round := range 100 {
		key := aClaim(run)
		var went atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			claim := key
			claim.Token = run.Next()
			all.Go(func() {
				store := stores[i%len(stores)]
				verdicts, err := store.Claim(t.Context(), []idempotency.Claim{claim})
				if err != nil {
					t.Error(err)
					return
				}
				if verdicts[0].Answer != idempotency.Go {
					return
				}
				went.Add(1)
				if states, err := store.Confirm(t.Context(), []idempotency.Claim{claim}); err != nil || states[0] != idempotency.Held {
					t.Errorf("who may go confirms: %v, %v", states, err)
				}
			})
		}
		if all.Wait(); went.Load() != 1 {
			t.Fatalf("round %d: %d may go, want one", round, went.Load())
		}
	}
}
