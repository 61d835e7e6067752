package deliver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
)

// pauses are what a pipeline waits for now: sinks, the store, the dead-letter
// topic. They make it not ready, and each is told once when it begins and ends.
type pauses struct {
	pipeline string
	observer events.Observer
	timing   clock.Timing

	mu   sync.Mutex
	now  map[string]string // what → why
	held map[string]int    // how many hold it
	// standing are why partitions stand until a person acts, first come first.
	standing map[partition][]string
	// met are the records at which the pipeline stands.
	met map[*Standing]struct{}
}

func newPauses(pipeline string, o events.Observer, t clock.Timing) *pauses {
	return &pauses{pipeline: pipeline, observer: o, timing: t, now: map[string]string{}, held: map[string]int{},
		standing: map[partition][]string{}, met: map[*Standing]struct{}{}}
}

// set says that what takes no calls, because of err.
func (p *pauses) set(what string, err error) {
	p.mu.Lock()
	_, known := p.now[what]
	p.now[what] = err.Error()
	p.mu.Unlock()
	if !known {
		p.tell(events.Pause, what, err)
	}
}

// hold is set for what several wait for at once, each until its release.
func (p *pauses) hold(what string, err error) {
	p.mu.Lock()
	p.held[what]++
	p.mu.Unlock()
	p.set(what, err)
}

// release ends one hold, and with the last the pause.
func (p *pauses) release(what string) { p.letGo(what, nil) }

// drop ends one hold because nobody waits any more.
func (p *pauses) drop(what string) { p.letGo(what, errForgotten) }

func (p *pauses) letGo(what string, err error) {
	p.mu.Lock()
	p.held[what]--
	last := p.held[what] == 0
	p.mu.Unlock()
	if last {
		p.end(what, err)
	}
}

// stand says that a partition stands at records until a person acts, or leave is called
// because nobody waits any more.
func (p *pauses) stand(letters []letter, topicID [16]byte) (leave func()) {
	rec := letters[0].rec
	err := fmt.Errorf("%s: %w", rec.Coordinates(), letterError(letters[0]))
	p.hold(PauseOff, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	at := partition{rec.Topic, rec.Partition}
	p.standing[at] = append(p.standing[at], err.Error())
	var met []*Standing
	for _, l := range letters {
		s := standingAt(l.rec, topicID, l.sink, letterError(l))
		met = append(met, s)
		p.met[s] = struct{}{}
	}
	return func() {
		p.mu.Lock()
		for _, s := range met {
			delete(p.met, s)
		}
		if p.standing[at] = p.standing[at][1:]; len(p.standing[at]) == 0 {
			delete(p.standing, at)
		}
		p.mu.Unlock()
		p.drop(PauseOff)
	}
}

func (p *pauses) stands(topic string, number int32) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.standing[partition{topic, number}]; len(s) > 0 {
		return PauseOff + ": " + s[0] + "; the pipeline " + notByItself
	}
	return ""
}

type partition struct {
	topic  string
	number int32
}

// clear says that what takes calls again.
func (p *pauses) clear(what string) { p.end(what, nil) }

// forget ends a pause because nobody waits any more, which says nothing of what
// was waited for.
func (p *pauses) forget(what string) { p.end(what, errForgotten) }

var errForgotten = errors.New("nobody waits for it any more")

func (p *pauses) end(what string, err error) {
	p.mu.Lock()
	_, known := p.now[what]
	delete(p.now, what)
	p.mu.Unlock()
	if known {
		p.tell(events.Resume, what, err)
	}
}

func (p *pauses) tell(kind events.Kind, what string, err error) {
	sink, ok := strings.CutPrefix(what, pauseSink)
	if !ok {
		sink = ""
	}
	sink, _, _ = strings.Cut(sink, scopeMark)
	p.observer.Observe(events.Event{Kind: kind, Time: p.timing.Now(), Pipeline: p.pipeline, Sink: sink, Reason: what,
		Err: err})
}

// Troubles are what is paused now, and why; none when nothing is.
func (d *Delivery) Troubles() []Trouble { return d.pauses.troubles() }

// Stands is the record at which a partition stands until a person acts, and why; empty
// where it does not.
func (d *Delivery) Stands(topic string, number int32) string { return d.pauses.stands(topic, number) }

// pauseSink begins the name of a pause that is a sink's.
const pauseSink = "sink "

// PauseOff is what a pipeline waits for, without end, that has no dead letters and
// a record that belongs there.
const PauseOff = "dead_letter: off"

// notByItself is what holds where only a person can take a record out of the way.
const notByItself = "does not go past it by itself (see `millrace skip`)"

// troubles are what is paused, sorted. A part of a sink's system may have its name from
// a record, which a kind must not hold.
func (p *pauses) troubles() []Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Trouble
	for _, what := range slices.Sorted(maps.Keys(p.now)) {
		t := Trouble{Kind: what, Reason: what + ": " + p.now[what]}
		if what == PauseOff {
			t.Reason += "; the pipeline " + notByItself
		}
		if strings.HasPrefix(what, pauseSink) {
			t.Kind, _, _ = strings.Cut(what, scopeMark)
		}
		all = append(all, t)
	}
	return all
}

// Trouble is why something is not ready: its kind, which holds nothing of records
// or errors, and the reason in full.
type Trouble struct{ Kind, Reason string }
