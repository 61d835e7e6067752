package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/millrace/millrace/pipeline/idempotency"
	"pgregory.net/rapid"
)

// testAsModel runs the same random calls on the store and on the model, and
// wants the same answers and the same rows, their times aside.
func testAsModel(t *testing.T, open func(t testing.TB) Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		c := &comparison{Harness: h, clock: clock, tb: t, run: idempotency.NewRun()}
		c.model = NewModel(func() time.Time { return c.clock })
		c.model.Owned = h.Owned
		c.store = h.Open(t)
		actions := map[string]func(*rapid.T){
			"claim":   c.claim,
			"extend":  func(rt *rapid.T) { c.states(rt, "extend", idempotency.Store.Extend) },
			"confirm": func(rt *rapid.T) { c.states(rt, "confirm", idempotency.Store.Confirm) },
			"release": func(rt *rapid.T) { c.states(rt, "release", settle(idempotency.Released)) },
			"park":    func(rt *rapid.T) { c.states(rt, "park", settle(idempotency.ParkedAway)) },
			"delete":  c.forget,
			"advance": c.advance,
			"":        c.compare,
		}
		if h.Restart != nil {
			actions["restart"] = c.restart
		}
		rt.Repeat(actions)
	})
}

type comparison struct {
	Harness
	tb    testing.TB
	store Opened
	model *Model
	clock time.Time
	run   *idempotency.Run
	past  []idempotency.Claim
}

var comparedKeys = []idempotency.ID{{1}, {2}, {3}}

// claim asks for a few keys, now and then with a claim that was made before.
func (c *comparison) claim(rt *rapid.T) {
	claims := make([]idempotency.Claim, rapid.IntRange(1, 4).Draw(rt, "claims"))
	for i := range claims {
		// One token does not stand twice in a batch, so only the first repeats.
		if i == 0 && len(c.past) > 0 && rapid.IntRange(0, 4).Draw(rt, "repeat") == 0 {
			claims[i] = rapid.SampledFrom(c.past).Draw(rt, "past")
			continue
		}
		claims[i] = idempotency.Claim{
			ID:       rapid.SampledFrom(comparedKeys).Draw(rt, "id"),
			Token:    c.run.Next(),
			Digest:   idempotency.Digest{byte(rapid.IntRange(0, 1).Draw(rt, "digest"))},
			Holder:   idempotency.Holder{Host: "host", PID: 1, Run: c.run.ID()},
			Origin:   idempotency.Origin{Topic: "topic", Offset: int64(len(c.past))},
			TTL:      rapid.SampledFrom([]time.Duration{time.Hour, 8 * 24 * time.Hour}).Draw(rt, "ttl"),
			Lease:    rapid.SampledFrom([]time.Duration{lease, 4 * lease}).Draw(rt, "lease"),
			Durable:  rapid.Bool().Draw(rt, "durable"),
			Override: idempotency.Override(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, "override")),
			Answer:   rapid.SampledFrom([]string{"", "202"}).Draw(rt, "answer"),
		}
		c.past = append(c.past, claims[i])
	}
	want, err := c.model.Claim(c.tb.Context(), claims)
	if err != nil {
		rt.Fatal(err)
	}
	got, err := c.store.Claim(c.tb.Context(), claims)
	c.same(rt, "claim", want, got, err)
}

type stateCall func(idempotency.Store, context.Context, []idempotency.Claim) ([]idempotency.TokenState, error)

func settle(as idempotency.Settlement) stateCall {
	return func(s idempotency.Store, ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState,
		error) {
		return s.Settle(ctx, claims, as)
	}
}

// states does one call for claims that were made before, whatever became of
// them.
func (c *comparison) states(rt *rapid.T, name string, call stateCall) {
	if len(c.past) == 0 {
		return
	}
	claims := rapid.SliceOfN(rapid.SampledFrom(c.past), 1, 3).Draw(rt, "claims")
	want, err := call(c.model, c.tb.Context(), claims)
	if err != nil {
		rt.Fatal(err)
	}
	got, err := call(c.store, c.tb.Context(), claims)
	c.same(rt, name, want, got, err)
}

func (c *comparison) forget(rt *rapid.T) {
	ids := rapid.SliceOfN(rapid.SampledFrom(comparedKeys), 1, 2).Draw(rt, "ids")
	want, err := c.model.Delete(c.tb.Context(), ids)
	if err != nil {
		rt.Fatal(err)
	}
	got, err := c.store.Delete(c.tb.Context(), ids)
	c.same(rt, "delete", want, got, err)
}

// advance takes steps whose sums stay clear of a lease's and a TTL's end, so
// that a store whose clock also runs by itself decides as the model does.
func (c *comparison) advance(rt *rapid.T) {
	step := rapid.SampledFrom([]time.Duration{7 * time.Second, 35 * time.Second, 20 * time.Minute, 25 * time.Hour,
		191 * time.Hour}).Draw(rt, "step")
	c.clock = c.clock.Add(step)
	c.Advance(step)
}

func (c *comparison) restart(*rapid.T) {
	c.Restart(c.tb)
	c.model.Restart()
	c.store = c.Open(c.tb)
}

func (c *comparison) compare(rt *rapid.T) {
	want, err := c.model.Get(c.tb.Context(), comparedKeys)
	if err != nil {
		rt.Fatal(err)
	}
	got, err := c.store.Get(c.tb.Context(), comparedKeys)
	c.same(rt, "get", want, got, err)
}

func (c *comparison) same(rt *rapid.T, call string, want, got any, err error) {
	if err != nil {
		rt.Fatalf("%s: %v", call, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
		rt.Fatalf("%s (-model +store):\n%s", call, diff)
	}
}
