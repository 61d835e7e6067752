package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
)

// got is what became of one record.
type got struct {
	number  int // from 1, in the order of the test
	record  *handlers.Record
	outcome outcome.Outcome
	reason  string
	err     error
	// key is its idempotency key, steps are what was evaluated to decide it.
	key     string
	steps   []decide.Step
	writes  []*write
	letters []letter
	claims  map[claimant]string // the last answer of each
}

// write is what one sink was asked to write of a record.
type write struct {
	of      *got
	by      *scripted
	sink    string
	record  *handlers.Record
	request any
	calls   int
}

// shown is the request as people may see it: one that is no record shows no secret by itself.
func (w *write) shown() any {
	if r, ok := w.request.(*handlers.Record); ok {
		return r.WithoutSecrets()
	}
	return w.request
}

// letter is a dead letter as it lies in its topic, and what it says.
type letter struct {
	*handlers.Record
	says letters.Letter
}

// claimant asks for a record's key: one sink, in one life of the process.
type claimant struct {
	sink string
	life int
}

// claimed notes what the key store answered, and tells whether that is news: who
// waits asks again and again.
func (g *got) claimed(by claimant, answer string) bool {
	if g.claims == nil {
		g.claims = map[claimant]string{}
	}
	news := g.claims[by] != answer
	g.claims[by] = answer
	return news
}

// write is that of a sink, nil where it was not called.
func (g *got) write(sink string) *write {
	if i := slices.IndexFunc(g.writes, func(w *write) bool { return w.sink == sink }); i >= 0 {
		return g.writes[i]
	}
	return nil
}

// calls counts the calls of all sinks.
func (g *got) calls() int {
	n := 0
	for _, w := range g.writes {
		n += w.calls
	}
	return n
}

// sinks names those that were called.
func (g *got) sinks() string {
	var names []string
	for _, w := range g.writes {
		names = append(names, w.sink)
	}
	return strings.Join(names, ", ")
}

// called notes a call of a sink.
func (in *rehearsal) called(by *scripted, call *handlers.Call) *write {
	g := in.at(call.Record.Topic, call.Record.Partition, call.Record.Offset)
	i := slices.IndexFunc(g.writes, func(w *write) bool { return w.by == by })
	if i < 0 {
		i = len(g.writes)
		g.writes = append(g.writes, &write{of: g, by: by, sink: by.plan.Name})
	}
	w := g.writes[i]
	w.record, w.request = call.Record, call.Request
	if r, ok := call.Request.(*handlers.Record); ok {
		w.record = r
	}
	return w
}

// letter notes a dead letter with the record that it is of.
func (in *rehearsal) letter(r *handlers.Record) {
	says, _ := letters.Decode(r) // what was just encoded
	g := in.at(says.Record.Topic, says.Record.Partition, says.Record.Offset)
	g.letters = append(g.letters, letter{r, says})
}

// at is what became of the record at a place; a stranger where there is none.
func (in *rehearsal) at(topic string, partition int32, offset int64) *got {
	for _, g := range in.got {
		if g.record.Topic == topic && g.record.Partition == partition && g.record.Offset == offset {
			return g
		}
	}
	return &got{record: &handlers.Record{Topic: topic, Partition: partition, Offset: offset}}
}

// Told is one thing that happened in a test.
type Told struct {
	// After is how long the test had then run, by its own clock.
	After time.Duration
	// Record is topic/partition/offset, and Sink a sink's name; empty where the
	// event is of none.
	Record, Sink string
	Text         string
}

// tell notes that something happened, to a record and a sink or to neither.
func (in *rehearsal) tell(g *got, sink, text string) {
	t := Told{After: in.clock.Now().Sub(begin()), Sink: sink, Text: text}
	if g != nil {
		t.Record = g.record.Coordinates()
	}
	in.told = append(in.told, t)
}

func trimmed(text string) string { return strings.TrimSuffix(text, ": ") }
