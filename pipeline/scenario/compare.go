package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Failure is one expectation that was not met.
type Failure struct {
	// Place is where the expectation stands, and Path what it names.
	Place diag.Place
	Path  diag.Path
	// Message says in one line what is not as expected.
	Message string
	// Want and Got are the two values, as JSON or as text, empty where there
	// are none to compare.
	Want, Got string
	// Hint is why it is so, or what may be meant, where that is known.
	Hint string
}

// judge compares all that became of a test's records with what is expected.
func (in *rehearsal) judge() []Failure {
	c := &comparison{in: in}
	for i := range in.test.Expect {
		c.record(&in.test.Expect[i], in.got[i])
	}
	if crash := in.test.Crash; crash.Point != "" && !in.crashed {
		c.add(Failure{Path: crash.Path, Message: fmt.Sprintf("the process did not die: it came %s %d times, not %d",
			crash.Point, in.reached, crash.Times)})
	}
	for _, sink := range in.sinks {
		c.unanswered(sink.(*scripted))
	}
	slices.SortStableFunc(c.failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Column, b.Place.Column))
	})
	return c.failures
}

// unanswered reports the first answer of a script, but for an ok at its end, that
// no call came to.
func (c *comparison) unanswered(s *scripted) {
	left := s.script
	if s.used > 0 || len(left) > 0 && !s.filled.IsZero() {
		left = left[1:] // a rate is never used up
	}
	for len(left) > 0 && left[len(left)-1].Answer == plan.AnswerOK {
		left = left[:len(left)-1]
	}
	if len(left) > 0 {
		c.add(Failure{Path: left[0].Path, Message: fmt.Sprintf("no call of the sink %s came to this answer: it was "+
			"called %s", s.plan.Name, times(s.calls)),
			Hint: "leave out the answers that are not reached"})
	}
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	default:
		return fmt.Sprintf("%d times", n)
	}
}

// comparison collects what is not as expected.
type comparison struct {
	in       *rehearsal
	failures []Failure
}

func (c *comparison) add(f Failure) {
	f.Place = c.in.test.Place(f.Path)
	c.failures = append(c.failures, f)
}

// differ reports a value that is not as expected.
func (c *comparison) differ(path diag.Path, message string, want, got []byte, hint string) {
	if hint == "" {
		hint = nearMiss(want, got)
	}
	c.add(Failure{Path: path, Message: message, Want: pretty(want), Got: pretty(got), Hint: hint})
}

// record compares what became of one record.
func (c *comparison) record(e *plan.Expectation, g *got) {
	what := fmt.Sprintf("record %d", g.number)
	wrong := false
	for _, n := range e.Named {
		if n.Name == "outcome" {
			wrong = !c.word(n, what+": outcome", string(g.outcome), c.in.why(g, text(n.JSON)))
		}
	}
	sink := sinkOf(e)
	target, problem := g.target(sink)
	told := wrong && len(g.writes) == 0 // that nothing was written follows
	for _, n := range e.Named {
		switch n.Name {
		case "outcome":
		case "reason":
			if !wrong {
				c.word(n, what+": reason", g.reason, errorHint(g))
			}
		case "error":
			c.contains(n, what+": error", g.err)
		case "idempotency_key":
			c.textOrNull(n, what+": idempotency_key", []byte(g.key), g.key != "", "")
		case "calls":
			if !told || string(n.JSON) == "0" {
				c.count(n, what+": calls", c.callsOf(g, sink), callsHint(g))
			}
		case "sink":
			if target == nil && !told {
				c.add(Failure{Path: n.Path, Message: what + ": " + problem, Hint: g.quiet()})
				told = true
			}
		default:
			if target != nil {
				c.written(n, what, target)
			} else if sink == "" && len(g.writes) > 1 && ofEverySink(n.Name) {
				c.everywhere(n, what, g)
			} else if !told {
				c.add(Failure{Path: n.Path, Message: what + ": " + problem, Hint: g.quiet()})
				told = true
			}
		}
	}
	if e.Writes != nil && !(wrong && len(g.writes) == 0) {
		c.writes(e, g, what)
	}
	if e.DeadLetters != nil && !(wrong && len(g.letters) == 0) {
		c.letters(e, g, what)
	}
}

// ofEverySink tells whether something that is named is the same for all sinks of a
// route, but for what a kafka sink makes of it.
func ofEverySink(name string) bool {
	return name == "payload" || name == "value" || name == "key" || name == "headers"
}

// everywhere compares what all sinks were given, and reports the first that
// differs.
func (c *comparison) everywhere(n plan.Named, what string, g *got) {
	before := len(c.failures)
	for _, w := range g.writes {
		if c.written(n, what, w); len(c.failures) > before {
			return
		}
	}
}

// callsOf counts the calls of a sink, or of all.
func (c *comparison) callsOf(g *got, sink string) int {
	if sink == "" {
		return g.calls()
	}
	if w := g.write(sink); w != nil {
		return w.calls
	}
	return 0
}

// target is the write that an expectation is about, or why there is none.
func (g *got) target(sink string) (w *write, problem string) {
	switch {
	case sink != "":
		if w = g.write(sink); w == nil && len(g.writes) == 0 {
			return nil, "no sink was called"
		} else if w == nil {
			return nil, fmt.Sprintf("the sink %s was not called, but %s", sink, g.sinks())
		}
		return w, ""
	case len(g.writes) == 1:
		return g.writes[0], ""
	case len(g.writes) == 0:
		return nil, "no sink was called"
	default:
		return nil, fmt.Sprintf("%d sinks were called, %s: name one with sink:, or list them under writes:",
			len(g.writes), g.sinks())
	}
}

// writes compares the list of all writes.
func (c *comparison) writes(e *plan.Expectation, g *got, what string) {
	left := slices.Clone(g.writes)
	for i := range e.Writes {
		want := &e.Writes[i]
		at := 0
		if sink := sinkOf(want); sink != "" {
			at = slices.IndexFunc(left, func(w *write) bool { return w.sink == sink })
		}
		if at < 0 || at >= len(left) {
			message := what + ": a write is missing: no further sink was called"
			if sink := sinkOf(want); sink != "" {
				message = fmt.Sprintf("%s: the sink %s was not called", what, sink)
			}
			c.add(Failure{Path: want.Path, Message: message, Hint: g.quiet()})
			continue
		}
		for _, n := range want.Named {
			switch n.Name {
			case "sink":
			case "calls":
				c.count(n, fmt.Sprintf("%s: sink %s: calls", what, left[at].sink), left[at].calls, callsHint(g))
			default:
				c.written(n, what, left[at])
			}
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, w := range left {
		c.add(Failure{Path: e.Path.Field("writes"),
			Message: fmt.Sprintf("%s: the sink %s was called too", what, w.sink), Got: pretty(marshal(w.shown())),
			Hint: "writes lists every sink that is called"})
	}
}

// written compares one thing that is named of a write.
func (c *comparison) written(n plan.Named, what string, w *write) {
	what = fmt.Sprintf("%s: sink %s: %s", what, w.sink, n.Name)
	switch n.Name {
	case "topic":
		c.word(n, what, w.record.Topic, "")
	case "request":
		c.request(n, what, w)
	default:
		c.content(n, what, w.record, w.request)
	}
}

// content compares what is named of a record that was written.
func (c *comparison) content(n plan.Named, what string, r *handlers.Record, request any) {
	switch n.Name {
	case "payload":
		c.payload(n, what, r.Value)
	case "value":
		c.textOrNull(n, what, r.Value, r.Value != nil, "")
	case "key":
		c.textOrNull(n, what, r.Key, r.Key != nil, "")
	case "headers":
		c.headers(n, what, r, request)
	}
}

// letters compares dead letters: each that is expected must be there.
func (c *comparison) letters(e *plan.Expectation, g *got, what string) {
	left := slices.Clone(g.letters)
	for i := range e.DeadLetters {
		want := &e.DeadLetters[i]
		if len(left) == 0 {
			c.add(Failure{Path: want.Path, Message: what + ": there is no dead letter",
				Hint: c.in.why(g, string(outcome.DeadLettered))})
			continue
		}
		at := 0
		if sink := sinkOf(want); sink != "" {
			at = max(0, slices.IndexFunc(left, func(l letter) bool { return l.says.Sink == sink }))
		}
		for _, n := range want.Named {
			c.letter(n, what+": dead_letter."+n.Name, left[at])
		}
		left = slices.Delete(left, at, at+1)
	}
	if len(e.DeadLetters) == 0 && len(left) > 0 {
		c.add(Failure{Path: e.Path.Field("dead_letter"), Message: what + ": there is a dead letter",
			Hint: errorHint(g)})
	}
}

// letter compares one thing that is named of a dead letter.
func (c *comparison) letter(n plan.Named, what string, l letter) {
	of := func(text string) { c.textOrNull(n, what, []byte(text), text != "", "") }
	switch n.Name {
	case "reason":
		of(l.says.Reason)
	case "stage":
		of(l.says.Stage)
	case "sink":
		of(l.says.Sink)
	case "idempotency_key":
		of(l.says.Key)
	case "attempts":
		if got := strconv.Itoa(l.says.Attempts); got != string(n.JSON) {
			c.differ(n.Path, what, n.JSON, []byte(got), "")
		}
	case "error":
		got := l.says.LastError
		if want := text(n.JSON); !strings.Contains(got, want) {
			c.differ(n.Path, what+" does not hold this text", n.JSON, quoted(got), "")
		}
	case "topic":
		c.word(n, what, l.Topic, "")
	default:
		c.content(n, what, l.Record, nil)
	}
}

// sinkOf is the sink that an expectation names, empty for none.
func sinkOf(e *plan.Expectation) string {
	for _, n := range e.Named {
		if n.Name == "sink" {
			return text(n.JSON)
		}
	}
	return ""
}

// marshal is a request as JSON.
func marshal(request any) []byte {
	data, err := json.Marshal(request)
	if err != nil {
		return quoted(err.Error())
	}
	return data
}
