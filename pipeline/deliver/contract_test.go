package deliver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// The trace context of the source's record comes with its call, whatever became of its
// headers.
func TestTraceComesWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []handlers.Trace
		sink := &scripted{script: func(c *handlers.Call, _ int) error {
			got = append(got, c.Trace)
			return nil
		}}
		r := newRig(t, storetest.NewModel(time.Now), nil, sink)
		traced := rec(1, "a", "x")
		const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		traced.Headers = []handlers.Header{{Key: "traceparent", Value: []byte(parent)}, {Key: "tracestate", Value: []byte("a=1")}}
		r.deliver(t.Context(), traced, rec(2, "a", "y"))
		if diff := cmp.Diff([]handlers.Trace{{Parent: parent, State: "a=1"}, {}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// What the sink's system knows from before is a duplicate, whose key is done; but what
// may be our own earlier attempt was delivered.
func TestRepeatedIsADuplicate(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			sink := &scripted{script: func(c *handlers.Call, n int) error {
				if c.Record.Offset == 2 && n == 2 {
					return errBoom
				}
				c.Repeated = true
				return nil
			}}
			change := func(p *plan.Pipeline) {
				if !guarded {
					p.Idempotency = nil
				}
			}
			r := newRig(t, storetest.NewModel(time.Now), change, sink)
			r.deliver(t.Context(), rec(1, "a", "x"), rec(2, "b", "y"))
			if diff := cmp.Diff(map[int64]outcome.Outcome{1: outcome.Duplicate, 2: outcome.Delivered}, r.journal.outcomes); diff != "" {
				t.Errorf("guarded %v: %s", guarded, diff)
			}
			calls := len(sink.called())
			if r.deliver(t.Context(), rec(3, "a", "x")); guarded && len(sink.called()) != calls {
				t.Error("the key was not confirmed: the sink was called again")
			}
		})
	}
}

// keeping is a sink that keeps its own keys.
type keeping struct{ *scripted }

func (keeping) Kept(context.Context, [][32]byte) ([]*handlers.Kept, error) { return nil, nil }
func (keeping) Forget(context.Context, [][32]byte) error                   { return nil }

// A sink that keeps its own keys is told which effect a call is; the others are not.
func TestKeepersAreToldTheIdentity(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var got []*handlers.Identity
			script := func(c *handlers.Call, _ int) error {
				got = append(got, c.Identity)
				return nil
			}
			change := func(p *plan.Pipeline) {
				if !guarded {
					p.Idempotency = nil
					return
				}
				p.Idempotency.Generation = 3
			}
			r := newRig(t, storetest.NewModel(time.Now), change, &scripted{keeps: true, script: script})
			r.deliver(t.Context(), rec(1, "a", "x"))
			guard := r.delivery.plan.Idempotency
			want := &handlers.Identity{Pipeline: "p", Sink: "s0", Generation: 1, ID: idempotency.Coordinates("p", "s0", 1, [16]byte{1}, 0, 1)}
			if guarded {
				want = &handlers.Identity{
					Pipeline: "p", Sink: "s0", Generation: 3, Key: "k:x", ID: idempotency.Identity("p", "s0", 3, "k:x"),
					Digest: idempotency.DigestOf([]byte("x")), TTL: guard.TTL, OnConflict: string(guard.OnConflict), OnUncertain: string(guard.OnUncertain),
				}
			}
			if diff := cmp.Diff([]*handlers.Identity{want}, got); diff != "" {
				t.Errorf("guarded %v: want (-), got (+):\n%s", guarded, diff)
			}
			got = nil
			r = newRig(t, storetest.NewModel(time.Now), change, &scripted{script: script})
			if r.deliver(t.Context(), rec(1, "a", "x")); len(got) != 1 || got[0] != nil {
				t.Errorf("another sink is told %+v", got)
			}
		})
	}
}
