package handlers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTraceOf(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, c := range map[string]struct {
		parent, state string
		want          Trace
	}{
		"both":                {good, "a=1,b=2", Trace{good, "a=1,b=2"}},
		"a later version":     {"01" + good[2:] + "-more", "", Trace{Parent: "01" + good[2:] + "-more"}},
		"version 0 with more": {good + "-more", "", Trace{}},
		"version ff":          {"ff" + good[2:], "", Trace{}},
		"capitals":            {"00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1", Trace{}},
		"no trace":            {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", Trace{}},
		"no span":             {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "", Trace{}},
		"short":               {good[:54], "", Trace{}},
		"a line break":        {"01" + good[2:] + "-\r\nHost: x", "", Trace{}},
		"a bad state":         {good, "a=1\r\nHost: x", Trace{Parent: good}},
		"a state alone":       {"", "a=1", Trace{}},
	} {
		r := &Record{Headers: []Header{{TraceParent, []byte(c.parent)}, {TraceState, []byte(c.state)}}}
		if diff := cmp.Diff(c.want, TraceOf(r)); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", name, diff)
		}
	}
}

func TestTraceIsAddedWhereThereIsNone(t *testing.T) {
	trace := Trace{"p", "s"}
	shared := append(make([]Header, 0, 4), Header{"a", nil})
	if diff := cmp.Diff([]Header{{"a", nil}, {TraceParent, []byte("p")}, {TraceState, []byte("s")}}, trace.AddTo(shared)); diff != "" {
		t.Error(diff)
	}
	if shared[:2][1].Key != "" {
		t.Error("the headers of another were written over")
	}
	there := []Header{{TraceParent, []byte("q")}}
	if diff := cmp.Diff(there, trace.AddTo(there)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(there, Trace{}.AddTo(there)); diff != "" {
		t.Error(diff)
	}
}
