package pipeline

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
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
