package preview

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Explanation is why one record ended in one pipeline as it did, as far as that
// can be told afterwards: the steps of the decision, as the configuration is
// now, and what the store, the group and the dead letters say.
type Explanation struct {
	Pipeline string
	Record   *handlers.Record
	Steps    []decide.Step
	// Now is what a run would make of the record now.
	Now Result
	// Keys are the states of the record's keys, one a sink that it has a write
	// for; nil where no keys were looked at.
	Keys []KeyState
	// Group is how far the pipeline's group is, Process the running process that
	// reads the record's partition, nil for none.
	Group   Group
	Process *Process
	Letters Letters
	// Skipped is who let the pipeline go past the record, nil where nobody did.
	Skipped *api.Skip

	flow *flow
}

// KeyState is what the store says of one key.
type KeyState struct {
	Sink       string `json:"sink"`
	Generation int    `json:"generation"`
	// Own tells that the row was made for this very record.
	Own bool `json:"own"`
	// Row is nil where the store has none.
	Row *idempotency.Row `json:"row"`
	// Keeps tells that the sink keeps the keys of its effects itself, and Kept what it
	// knows of this one, nil for nothing.
	Keeps bool           `json:"-"`
	Kept  *handlers.Kept `json:"-"`
}

// made tells whether the effect of the key is known to be done, whoever remembers it.
func (k *KeyState) made() bool {
	return k.Row != nil && k.Row.State == idempotency.Confirmed || k.Kept != nil && !k.Kept.Parked
}

// Group is what a consumer group has committed of a partition.
type Group struct {
	Name string
	// Known tells that the cluster was asked. Committed is -1 where the group has
	// no commit of the partition.
	Known     bool
	Committed int64
}

// Process is a running process that has the record's partition.
type Process struct {
	PID   int    `json:"pid"`
	State string `json:"state"`
	// Pending is how many records of the partition are read and not finished.
	Pending int      `json:"pending"`
	Reasons []string `json:"reasons,omitempty"`
}

// Letters are the record's dead letters.
type Letters struct {
	// Topic is the dead-letter topic, empty where the pipeline has none; Missing
	// tells that it does not exist.
	Topic   string
	Missing bool
	Found   []Letter
	// Read is how many dead letters were looked at, Whole that these were all
	// that can be the record's.
	Read  int
	Whole bool
	// Later is why some of them could not be read, nil where all could.
	Later error
}

// Letter is one dead letter, where it lies and when it was written.
type Letter struct {
	letters.Letter
	At   idempotency.Origin
	Time time.Time
}

// Explain decides a record in each pipeline of item, step by step, and looks at
// its keys.
func (p *Preview) Explain(ctx context.Context, item Item) ([]Explanation, error) {
	var all []Explanation
	for _, i := range item.Pipelines {
		f := p.flows[i]
		dec, steps := f.decider.Trace(item.Record)
		// Each record is explained by itself, whatever was explained before.
		p.keys = newLedger(p.deps.Keys)
		ids := f.ids(nil, &dec)
		if err := p.keys.look(ctx, ids); err != nil {
			return nil, err
		}
		x := Explanation{Pipeline: f.plan.Name, Record: item.Record, Steps: steps, flow: f}
		x.Group = Group{Name: f.plan.Source.Group, Committed: -1}
		if p.deps.Keys != nil && f.plan.Idempotency != nil {
			x.Keys = p.keyStates(f, &dec, item.Record)
			if err := f.addKept(ctx, x.Keys, &dec); err != nil {
				return nil, err
			}
		}
		x.Now = p.judge(f, &item, &dec)
		all = append(all, x)
	}
	return all, nil
}

func (p *Preview) keyStates(f *flow, dec *decide.Decision, rec *handlers.Record) []KeyState {
	states := []KeyState{}
	origin := originOf(rec)
	for _, w := range dec.Writes {
		if w.Err != nil {
			continue
		}
		s := KeyState{Sink: f.sinks[w.Sink].Name, Generation: f.plan.Idempotency.Generation}
		if e := p.keys.rows[idempotency.Identity(f.plan.Name, s.Sink, s.Generation, dec.Key)]; e != nil &&
			e.row != nil {
			s.Row, s.Own = e.row, e.row.Origin == origin
		}
		states = append(states, s)
	}
	return states
}

// maxLetters is how many dead letters are looked at for one record.
const maxLetters = 1_000_000

// Complete adds what the cluster tells: the group's commit and dead letters.
func (t *Topics) Complete(ctx context.Context, x *Explanation) error {
	committed, err := t.Admin.Committed(ctx, x.Group.Name)
	if err != nil {
		return err
	}
	x.Group.Known = true
	if at, ok := committed[x.Record.Topic][x.Record.Partition]; ok {
		x.Group.Committed = at
	}
	x.Letters.Topic = x.flow.plan.DeadLetter
	if x.Letters.Topic == "" {
		return nil
	}
	there, err := t.Admin.Topics(ctx, x.Letters.Topic)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		x.Letters.Missing, x.Letters.Whole = true, true
		return nil
	}
	return t.letters(ctx, x)
}

// letters looks for dead letters of the record. They are younger than it, unless
// a clock was wrong by more than an hour.
func (t *Topics) letters(ctx context.Context, x *Explanation) error {
	w := Window{Last: -1}
	if now := time.Now(); x.Record.Time.Before(now) {
		w.Since = x.Record.Time.Add(-time.Hour)
	}
	x.Letters.Whole = true
	return t.Each(ctx, x.Letters.Topic, w, func(r *handlers.Record) error {
		x.Letters.Read++
		letter, ok, err := letterOf(r, x)
		if ok {
			x.Letters.Found = append(x.Letters.Found, letter)
		}
		if err != nil {
			x.Letters.Later, x.Letters.Whole = err, false
		}
		if x.Letters.Read >= maxLetters {
			x.Letters.Whole = false
			return ErrEnough
		}
		return nil
	})
}

// letterOf is the dead letter that r is, where it is one of the record that x explains.
func letterOf(r *handlers.Record, x *Explanation) (Letter, bool, error) {
	l, err := letters.Decode(r)
	if later := new(letters.VersionError); errors.As(err, &later) {
		return Letter{}, false, err
	}
	ours := err == nil && originOf(&l.Record) == originOf(x.Record) && l.Pipeline == x.Pipeline
	return Letter{Letter: l, At: originOf(r), Time: r.Time}, ours, nil
}

func originOf(r *handlers.Record) idempotency.Origin {
	return idempotency.Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}

// LetterOrigin is the record that a dead letter stands for, and whether rec is
// one.
func LetterOrigin(rec *handlers.Record) (idempotency.Origin, bool) {
	l, err := letters.Decode(rec)
	return originOf(&l.Record), err == nil
}

// Running adds what running processes tell of the record's partition.
func (x *Explanation) Running(statuses []api.Status) {
	for _, s := range statuses {
		for _, p := range s.Pipelines {
			if p.Name != x.Pipeline {
				continue
			}
			for _, part := range p.Partitions {
				if part.Topic != x.Record.Topic || part.Partition != x.Record.Partition {
					continue
				}
				x.Process = &Process{PID: s.PID, State: string(p.State), Reasons: slices.Clone(p.Reasons),
					Pending: part.Pending}
				if part.Alarm != "" && !slices.Contains(x.Process.Reasons, part.Alarm) {
					x.Process.Reasons = append(x.Process.Reasons, part.Alarm)
				}
			}
		}
	}
}

// Skips adds who let the pipeline go past the record, if one of all did.
func (x *Explanation) Skips(all []api.Skip) {
	for i, s := range all {
		if s.Topic == x.Record.Topic && s.Partition == x.Record.Partition && s.Offset == x.Record.Offset {
			x.Skipped = &all[i]
		}
	}
}

// Done tells whether the group has committed past the record.
func (x *Explanation) Done() bool { return x.Group.Known && x.Group.Committed > x.Record.Offset }

// Ended is how the record ended, as far as what is left of it tells, and why it
// is believed: `not_yet` where its offset was not passed and not every sink that it
// has a write for is known to be done with it.
func (x *Explanation) Ended() (ending, because string) {
	own, others := 0, 0
	for _, k := range x.Keys {
		if k.Row == nil || k.Row.State != idempotency.Confirmed {
			continue
		}
		if k.Own {
			own++
		} else {
			others++
		}
	}
	decided, waits := x.Now.Outcome, x.waiting()
	switch {
	case x.Skipped != nil && own == 0 && (x.Skipped.Passed || x.Done()):
		return string(outcome.Dropped), "it was " + x.Skipped.String()
	case x.Group.Known && !x.Done() && len(waits) > 0 && len(waits) < len(x.Now.Writes):
		return "not_yet", "waiting for " + strings.Join(waits, ", ") + ", while its other sinks are done; " + x.notYet()
	case x.Group.Known && !x.Done() && len(waits) > 0:
		return "not_yet", x.notYet()
	case len(x.Letters.Found) > 0:
		l := x.Letters.Found[len(x.Letters.Found)-1]
		return string(outcome.DeadLettered), "its dead letter is " + l.At.String() + " (" + l.Reason + ")"
	case own > 0:
		return string(outcome.Delivered), "the key store remembers its write"
	case x.Group.Known && !x.Done():
		return "not_yet", x.notYet()
	case others > 0 && others == len(x.Keys):
		return string(outcome.Duplicate), "the key was confirmed by " + x.firstRow().Origin.String()
	case own+others < len(x.Keys) && !slices.ContainsFunc(x.Keys, func(k KeyState) bool { return !k.made() }):
		return string(outcome.Delivered), "its sink keeps the effect of its key as made, by it or an earlier record"
	case !x.Group.Known:
		return "", ""
	case decided == outcome.Filtered, decided == outcome.Unmatched, decided == outcome.Dropped:
		return string(decided), "so the configuration decides it, and its offset was passed"
	case decided == outcome.Delivered && len(x.Keys) == 0 && x.flow.plan.Idempotency == nil:
		return string(outcome.Delivered), "its offset was passed, and the configuration writes it; without a key " +
			"nothing remembers the write"
	default:
		return "unknown", "its offset was passed, and nothing remembers it: the configuration may have been another, " +
			"or the key expired"
	}
}

// waiting are the sinks of which nothing tells that they are done with the record:
// no confirmed key and no dead letter.
func (x *Explanation) waiting() []string {
	var sinks []string
	for i := range x.Now.Writes {
		sink := x.Now.Writes[i].Sink
		done := slices.ContainsFunc(x.Keys, func(k KeyState) bool {
			return k.Sink == sink && k.made()
		})
		if !done && !slices.ContainsFunc(x.Letters.Found, func(l Letter) bool {
			return l.Sink == "" ||
				l.Sink == sink
		}) {
			sinks = append(sinks, sink)
		}
	}
	return sinks
}

func (x *Explanation) firstRow() *idempotency.Row {
	for _, k := range x.Keys {
		if k.Row != nil {
			return k.Row
		}
	}
	return &idempotency.Row{}
}

// notYet says what is known of a record whose offset was not passed.
func (x *Explanation) notYet() string {
	text := "group " + x.Group.Name + " has no commit of its partition"
	if x.Group.Committed >= 0 {
		text = "group " + x.Group.Name + " has committed up to offset " + strconv.FormatInt(x.Group.Committed, 10)
	}
	switch {
	case x.Process == nil:
		return text + ", and no process here reads it"
	case x.Process.Pending > 0:
		return text + "; a process (pid " + strconv.Itoa(x.Process.PID) + ") has " +
			diag.Count(x.Process.Pending, "record") + " of it in flight"
	default:
		return text + "; a process (pid " + strconv.Itoa(x.Process.PID) + ") reads it"
	}
}
