package handlertest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

// probeHasNoEffect holds for sinks that can probe.
func (h Harness) probeHasNoEffect(t *testing.T) {
	f := h.Open(t)
	defer closeSink(t, f.Sink)
	prober, ok := f.Sink.(handlers.Prober)
	if !ok {
		return
	}
	if err := prober.Probe(t.Context()); err != nil {
		t.Errorf("the system is there, and the probe says: %v", err)
	}
	if got := f.Effects(); len(got) > 0 {
		t.Errorf("the probe wrote %q", got)
	}
	h.write(t, f.Sink, []handlers.Call{call(t, f.Sink, "k", `{"n":1}`)})
	if err := prober.Probe(t.Context()); err != nil {
		t.Errorf("the system is there, and the probe after a write says: %v", err)
	}
	if diff := cmp.Diff([]string{`{"n":1}`}, f.Effects()); diff != "" {
		t.Errorf("the probe had an effect:\n%s", diff)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	go func() {
		// Its answer may be either: what counts is that it comes.
		_ = prober.Probe(ended)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the probe goes on 10 s after its context ended")
	}
	if f.Down == nil {
		return
	}
	f.Down()
	if prober.Probe(t.Context()) == nil {
		t.Error("the system is down, and the probe says nothing")
	}
}
