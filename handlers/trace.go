package handlers

import (
	"encoding/hex"
	"slices"
	"strings"
)

// The names under which records and requests carry a Trace.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

// Trace is the W3C trace context that a record came with, as its headers
// traceparent and tracestate. A sink whose system can carry one hands it on, where
// its configuration does not say otherwise. The zero Trace is none.
type Trace struct{ Parent, State string }

// TraceOf is the trace context of a record, none where its headers hold none that is
// well formed: they are written by whoever writes the record.
func TraceOf(r *Record) Trace {
	parent, ok := r.Header(TraceParent)
	if !ok || !isTraceParent(string(parent)) {
		return Trace{}
	}
	t := Trace{Parent: string(parent)}
	if state, ok := r.Header(TraceState); ok && isTraceState(state) {
		t.State = string(state)
	}
	return t
}

// AddTo returns headers with those of the trace behind, which are not changed where
// they hold one already.
func (t Trace) AddTo(headers []Header) []Header {
	if t.Parent == "" || slices.ContainsFunc(headers, func(h Header) bool { return h.Key == TraceParent }) {
		return headers
	}
	headers = append(slices.Clip(headers), Header{Key: TraceParent, Value: []byte(t.Parent)})
	if t.State != "" {
		headers = append(headers, Header{Key: TraceState, Value: []byte(t.State)})
	}
	return headers
}

// isTraceParent tells whether text is version-trace-span-flags in lower-case hex, to
// which later versions may add more.
func isTraceParent(text string) bool {
	const version0 = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(text) < version0 || len(text) > 4*version0 || strings.ContainsFunc(text,
		func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	parts := strings.SplitN(text, "-", 5)
	if len(parts) == 5 && parts[0] == "00" || parts[0] == "ff" {
		return false
	}
	for i, length := range []int{2, 32, 16, 2} {
		if i >= len(parts) || len(parts[i]) != length || strings.ToLower(parts[i]) != parts[i] {
			return false
		}
		if _, err := hex.DecodeString(parts[i]); err != nil {
			return false
		}
	}
	return strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != ""
}

// isTraceState tells whether text can stand in a header of a request.
func isTraceState(text []byte) bool {
	const longest = 512 // what is to be handed on at least
	return len(text) <= longest && !slices.ContainsFunc(text, func(c byte) bool { return c < ' ' || c > '~' })
}
