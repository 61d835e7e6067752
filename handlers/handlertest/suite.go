package handlertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

// Harness is how the suite reaches one kind of sink.
type Harness struct {
	// Open makes a sink on a fresh stand-in of its system, and cleans up with
	// t. Its configuration must hold at least one template that fails on a
	// record without a key, such as Key makes.
	Open func(t *testing.T) Fixture
	// Batches tells that the sink takes several calls in one Write.
	Batches bool
}

// Fixture is one opened sink and the stand-in of its system.
type Fixture struct {
	Sink handlers.Sink
	// Effects are the values that became durable, in the order in which they
	// did. It may be called while writes run.
	Effects func() []string
	// Refuse makes the system refuse the record of this value until mend is
	// called. It is nil where the system cannot refuse one record.
	Refuse func(value string) (mend func())
	// Hang makes the system take calls and not answer until release is called.
	// It is nil where the system answers at once always.
	Hang func() (release func())
	// Traces are the traceparents that came with the effects, in their order and
	// empty for those without one. It is nil where the system carries none.
	Traces func() []string
	// Remembers tells that the system knows calls by their ID: one that comes again
	// has no second effect, and Write says so. Of a Keeper it must be true.
	Remembers bool
	// Down makes the system unreachable for good. It is nil where it can't be.
	Down func()
}

// Run checks that a sink keeps what the contract of package handlers says.
func Run(t *testing.T, spec handlers.Spec, h Harness) {
	t.Run("spec", func(t *testing.T) { checkSpec(t, spec) })
	t.Run("render is pure", h.renderIsPure)
	t.Run("render refuses null", h.renderRefusesNull)
	t.Run("nil means durable", h.nilMeansDurable)
	t.Run("a retry writes the same", h.retryWritesTheSame)
	t.Run("writes run concurrently", h.writesRunConcurrently)
	t.Run("a failure is its call's own", h.failureIsItsCallsOwn)
	t.Run("write ends with its context", h.writeEndsWithItsContext)
	t.Run("a probe has no effect", h.probeHasNoEffect)
	t.Run("a trace is handed on", h.traceIsHandedOn)
	t.Run("a keeper keeps its keys", h.keeperKeepsItsKeys)
}

func (h Harness) renderIsPure(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	view := View{Of: record("k", `{"n":1}`)}
	before := handlers.AppendJSON(nil, view.Of)
	want := renderJSON(t, f.Sink, view)
	if !bytes.HasPrefix(want, []byte("{")) {
		t.Errorf("a request must marshal to a JSON object, got %s", want)
	}
	if request, _ := f.Sink.Render(view); showsNothing(request) {
		t.Error("a request that has a line for people shows none")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := renderJSON(t, f.Sink, view); !bytes.Equal(got, want) {
				t.Errorf("the same view rendered\n%s\nand then\n%s", want, got)
			}
		})
	}
	wg.Wait()
	if after := handlers.AppendJSON(nil, view.Of); !bytes.Equal(before, after) {
		t.Errorf("render changed the record from\n%s\nto\n%s", before, after)
	}
	if got := f.Effects(); len(got) > 0 {
		t.Errorf("render wrote %q", got)
	}
}

func showsNothing(request any) bool {
	r, ok := request.(handlers.Shower)
	return ok && strings.TrimSpace(r.Show()) == ""
}

func (h Harness) renderRefusesNull(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	r := record("", `{"n":1}`)
	r.Key = nil
	if request, err := f.Sink.Render(View{Of: r}); err == nil {
		t.Errorf("a null in a template must be an error, got %+v", request)
	}
}

func (h Harness) nilMeansDurable(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	var want []string
	var calls []handlers.Call
	for i := range 5 {
		value := fmt.Sprintf(`{"n":%d}`, i)
		want = append(want, value)
		calls = append(calls, call(t, f.Sink, "k", value))
	}
	h.write(t, f.Sink, calls)
	if diff := cmp.Diff(want, f.Effects()); diff != "" {
		t.Errorf("written in order (-), found (+):\n%s", diff)
	}
	for i, c := range calls {
		if len(c.Answer) > 64 {
			t.Errorf("answer of call %d is longer than the 64 bytes that are kept: %q", i, c.Answer)
		}
	}
}

func (h Harness) retryWritesTheSame(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	c := []handlers.Call{call(t, f.Sink, "k", `{"n":1}`)}
	before, _ := json.Marshal(c[0].Request)
	h.write(t, f.Sink, c)
	h.write(t, f.Sink, c)
	after, _ := json.Marshal(c[0].Request)
	if !bytes.Equal(before, after) {
		t.Errorf("write changed the request from\n%s\nto\n%s", before, after)
	}
	want := []string{`{"n":1}`, `{"n":1}`}
	if f.Remembers {
		want = want[:1]
	}
	if diff := cmp.Diff(want, f.Effects()); diff != "" {
		t.Error(diff)
	}
	if c[0].Repeated != f.Remembers {
		t.Errorf("the second write of a call says repeated: %v, and the system remembers: %v", c[0].Repeated,
			f.Remembers)
	}
}

func (h Harness) writesRunConcurrently(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	var wg sync.WaitGroup
	for lane := range 8 {
		wg.Go(func() {
			for n := range 10 {
				value := fmt.Sprintf(`{"lane":%d,"n":%d}`, lane, n)
				h.write(t, f.Sink, []handlers.Call{call(t, f.Sink, fmt.Sprint(lane), value)})
			}
		})
	}
	wg.Wait()
	byLane := map[int][]int{}
	for _, effect := range f.Effects() {
		var v struct{ Lane, N int }
		if err := json.Unmarshal([]byte(effect), &v); err != nil {
			t.Fatalf("torn effect %q: %v", effect, err)
		}
		byLane[v.Lane] = append(byLane[v.Lane], v.N)
	}
	for lane := range 8 {
		if got := byLane[lane]; len(got) != 10 || !slices.IsSorted(got) {
			t.Errorf("lane %d wrote 0 to 9 in order, found %v", lane, got)
		}
	}
}

func (h Harness) failureIsItsCallsOwn(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	if f.Refuse == nil {
		return
	}
	mend := f.Refuse(`{"n":2}`)
	calls := []handlers.Call{
		call(t, f.Sink, "a", `{"n":1}`), call(t, f.Sink, "b", `{"n":2}`),
		call(t, f.Sink, "a", `{"n":3}`), call(t, f.Sink, "b", `{"n":4}`),
	}
	if !h.Batches {
		calls = calls[1:2]
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := f.Sink.Write(ctx, calls)
	if err == nil {
		t.Fatal("a refused call must be an error")
	}
	for _, value := range f.Effects() {
		if value == `{"n":2}` || value == `{"n":4}` {
			t.Errorf("%s was written, although it or an earlier one of its key was refused", value)
		}
	}
	var again []handlers.Call
	for i := range calls {
		if handlers.FailureOf(err, i) != nil {
			again = append(again, calls[i])
		}
	}
	mend()
	h.write(t, f.Sink, again)
	want := []string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`}
	if !h.Batches {
		want = want[1:2]
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(f.Effects()))); diff != "" {
		t.Errorf("after the failed calls were sent again:\n%s", diff)
	}
}

func (h Harness) writeEndsWithItsContext(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	if f.Hang == nil {
		return
	}
	release := f.Hang()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	written := make(chan error, 1)
	calls := []handlers.Call{call(t, f.Sink, "k", `{"n":1}`)}
	go func() { written <- f.Sink.Write(ctx, calls) }()
	select {
	case err := <-written:
		if failure := handlers.FailureOf(err, 0); failure == nil {
			t.Error("a call without an answer must be an error")
		} else if failure.Class == handlers.NotApplied {
			t.Errorf("a call without an answer may have been applied, got %s: %v", failure.Class, err)
		}
	case <-time.After(10 * time.Second):
		t.Error("write goes on 10 s after its context ended")
	}
}

func (h Harness) traceIsHandedOn(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	if f.Traces == nil {
		return
	}
	traced, plain := call(t, f.Sink, "k", `{"n":1}`), call(t, f.Sink, "k", `{"n":2}`)
	traced.Trace = handlers.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	h.write(t, f.Sink, []handlers.Call{traced, plain})
	if diff := cmp.Diff([]string{traced.Trace.Parent, ""}, f.Traces()); diff != "" {
		t.Errorf("given (-), found (+):\n%s", diff)
	}
}

func (h Harness) keeperKeepsItsKeys(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	keeper, ok := f.Sink.(handlers.Keeper)
	if !ok {
		return
	}
	first, other := call(t, f.Sink, "k", `{"n":1}`), call(t, f.Sink, "k", `{"n":2}`)
	ids := [][32]byte{other.Identity.ID, first.Identity.ID}
	kept := func() (of [2]*handlers.Kept) {
		all, err := keeper.Kept(t.Context(), ids)
		if err != nil || len(all) != len(ids) {
			t.Fatalf("asked for %d keys, got %d: %v", len(ids), len(all), err)
		}
		return [2]*handlers.Kept(all)
	}
	if got := kept(); got != [2]*handlers.Kept{} {
		t.Errorf("before anything was written it keeps %+v", got)
	}
	h.write(t, f.Sink, []handlers.Call{first})
	if got := kept(); got[0] != nil || got[1] == nil || got[1].Digest != first.Identity.Digest || got[1].Parked ||
		!got[1].Expires.After(got[1].At) {
		t.Errorf("it keeps %+v and %+v, and the second was written", got[0], got[1])
	}
	conflict := other
	identity := *other.Identity
	identity.ID, conflict.Identity, conflict.ID = first.Identity.ID, &identity, first.ID
	calls := []handlers.Call{conflict}
	if h.write(t, f.Sink, calls); !calls[0].Repeated {
		t.Error("a key that is done with other content is no duplicate")
	}
	if err := keeper.Forget(t.Context(), ids); err != nil || kept() != [2]*handlers.Kept{} {
		t.Errorf("keys that are forgotten are kept: %v", err)
	}
	h.write(t, f.Sink, []handlers.Call{first})
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":1}`}, f.Effects()); diff != "" {
		t.Errorf("once before and once after it was forgotten (-), found (+):\n%s", diff)
	}
}

// write hands over calls as the runner would: no more at once than MaxBatch.
func (h Harness) write(t *testing.T, sink handlers.Sink, calls []handlers.Call) {
	t.Helper()
	size := len(calls)
	if limiter, ok := sink.(handlers.Limiter); ok {
		size = limiter.MaxBatch()
	}
	for from := 0; from < len(calls); from += size {
		if err := sink.Write(t.Context(), calls[from:min(from+size, len(calls))]); err != nil {
			t.Errorf("write: %v", err)
		}
	}
}

func closeSink(t *testing.T, sink handlers.Sink) {
	if err := sink.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("close: %v", err)
	}
}

func record(key, value string) *handlers.Record {
	return &handlers.Record{
		Topic: "source", Partition: 2, Offset: 7, Time: time.UnixMilli(1_700_000_000_000).UTC(),
		Key: []byte(key), Value: []byte(value),
		Headers: []handlers.Header{{Key: "trace", Value: []byte("t-1")}},
	}
}

func call(t *testing.T, sink handlers.Sink, key, value string) handlers.Call {
	r := record(key, value)
	request, err := sink.Render(View{Of: r})
	if err != nil {
		t.Errorf("render: %v", err)
	}
	id := sha256.Sum256([]byte(key + value))
	c := handlers.Call{Record: r, Request: request, Order: r.Key, ID: fmt.Sprintf("%.13x", id)}
	if _, ok := sink.(handlers.Keeper); ok {
		c.Identity = &handlers.Identity{
			Pipeline: "p", Sink: "s", Generation: 1, Key: key + value, ID: id, Digest: sha256.Sum256([]byte(value)),
			TTL: time.Hour, OnConflict: "duplicate", OnUncertain: "retry",
		}
	}
	return c
}

func renderJSON(t *testing.T, sink handlers.Sink, view View) []byte {
	request, err := sink.Render(view)
	if err != nil {
		t.Errorf("render: %v", err)
		return nil
	}
	data, err := json.Marshal(request)
	if err != nil {
		t.Errorf("marshal the request: %v", err)
	}
	return data
}
