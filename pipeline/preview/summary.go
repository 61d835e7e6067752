package preview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
)

// Summary counts what one pipeline would make of the records that it was given.
type Summary struct {
	Pipeline string
	Records  int
	// Tombstones are records without a value, which have no fields to miss.
	Tombstones int
	// Outcomes counts records by outcome, or by halt as `stop`, `block`, `wait`.
	Outcomes map[string]int
	// Reasons counts, by outcome, records by the reason that they have.
	Reasons map[string]map[string]int
	// Here and Before count writes that would repeat an effect: of an earlier
	// record of the sample, or of one that the store remembers.
	Here, Before int
	Routes       []int
	Sinks        []SinkSummary
	// FirstHalt is the first record that would not end, nil for none.
	FirstHalt *Result

	plan *plan.Pipeline
	// readable counts records whose payload could be read, made those that were
	// transformed; absent counts by path.
	readable, made   int
	absent, absentTo map[string]int
	filter           map[string]*tally
}

// SinkSummary counts the writes of the sinks of one name by how they would end.
type SinkSummary struct {
	Name     string
	Outcomes map[outcome.Outcome]int
}

// Field is a part of the payload that the configuration uses, and how many of
// the records lack it.
type Field struct {
	Name           string
	Missing, Among int
}

// tally counts the values of one part of the record.
type tally struct {
	values map[string]int
	other  int
}

// maxValues bounds how many different values of one part are told apart.
const maxValues = 1000

func newSummary(p *plan.Pipeline) *Summary {
	s := &Summary{
		Pipeline: p.Name, plan: p, Outcomes: map[string]int{}, Reasons: map[string]map[string]int{},
		Routes: make([]int, len(p.Routes)), absent: map[string]int{}, absentTo: map[string]int{},
		filter: map[string]*tally{},
	}
	for _, sink := range p.Sinks() {
		if slices.ContainsFunc(s.Sinks, func(other SinkSummary) bool { return other.Name == sink.Name }) {
			continue // another route has one of that name
		}
		s.Sinks = append(s.Sinks, SinkSummary{Name: sink.Name, Outcomes: map[outcome.Outcome]int{}})
	}
	return s
}

// read notes what a record that was just decided lacks, and what the filter saw
// of one that it dropped.
func (s *Summary) read(d *decide.Decider, rec *handlers.Record, dec *decide.Decision) {
	if rec.Value == nil {
		s.Tombstones++
		return
	}
	if dec.Stage == outcome.StageDecode {
		return
	}
	s.readable++
	source, transformed := d.Absent()
	for _, path := range source {
		s.absent[path]++
	}
	for _, path := range transformed {
		s.absentTo[path]++
	}
	if dec.Route >= 0 || dec.Stage == outcome.StageRoute {
		s.made++
	}
	if dec.Outcome != outcome.Filtered || dec.Reason != "filter" {
		return
	}
	for _, r := range d.FilterReads() {
		s.saw(r)
	}
}

// saw counts a value that the filter read.
func (s *Summary) saw(r expression.Read) {
	t := s.filter[r.Name]
	if t == nil {
		t = &tally{values: map[string]int{}}
		s.filter[r.Name] = t
	}
	text := "unreadable"
	if r.Err == nil {
		text = valueText(r.Value)
	}
	if _, known := t.values[text]; known || len(t.values) < maxValues {
		t.values[text]++
	} else {
		t.other++
	}
}

// count counts a result.
func (s *Summary) count(r *Result) {
	s.Records++
	ending := cmp.Or(string(r.Outcome), string(r.Halt))
	s.Outcomes[ending]++
	if r.Reason != "" && !(r.Outcome == outcome.Filtered && r.Reason == "filter") && r.Outcome != outcome.Unmatched {
		if s.Reasons[ending] == nil {
			s.Reasons[ending] = map[string]int{}
		}
		s.Reasons[ending][r.Reason]++
	}
	if r.Halt != "" && s.FirstHalt == nil {
		s.FirstHalt = r
	}
	if r.Route >= 0 {
		s.Routes[r.Route]++
	}
	for _, w := range r.Writes {
		for i := range s.Sinks {
			if s.Sinks[i].Name == w.Sink {
				s.Sinks[i].Outcomes[w.Outcome]++
			}
		}
		if w.Outcome == outcome.Duplicate && w.Here {
			s.Here++
		} else if w.Outcome == outcome.Duplicate {
			s.Before++
		}
	}
}

// Missing lists the parts of the payload that some records lack, the most often
// missing first. Tombstones and values that can't be read are not counted.
func (s *Summary) Missing() []Field {
	var all []Field
	for name, n := range s.absent {
		all = append(all, Field{name, n, s.readable})
	}
	for name, n := range s.absentTo {
		all = append(all, Field{"transformed " + name, n, max(n, s.made)})
	}
	slices.SortFunc(all, func(a, b Field) int {
		return cmp.Or(cmp.Compare(b.Missing, a.Missing),
			cmp.Compare(a.Name, b.Name))
	})
	return all
}

// Hints say what looks like a mistake: findings of all or nothing.
func (s *Summary) Hints() []string {
	var hints []string
	live := s.Records - s.Tombstones
	switch filtered := s.filtered(); {
	case live <= 0:
	case filtered == s.Records:
		hints = append(hints, "the filter dropped every record: "+s.plan.Filter.Source())
		hints = append(hints, s.whyFiltered()...)
	case s.plan.Filter != nil && filtered == 0 && s.readable >= 10:
		hints = append(hints, "the filter dropped no record: "+s.plan.Filter.Source())
	}
	if live > 0 && s.Outcomes[string(outcome.Unmatched)] == s.Records {
		hints = append(hints, "no record took a route")
	}
	if n := s.Outcomes[string(outcome.DeadLettered)]; n > 0 && n == s.Records {
		hints = append(hints, "every record would be dead-lettered: "+counted(s.Reasons[string(outcome.DeadLettered)]))
	}
	if n := s.Reasons[string(outcome.DeadLettered)]["decode_failed"] +
		s.Reasons[string(outcome.Dropped)]["decode_failed"]; n == s.Records && n > 0 {
		hints = append(hints, "no value could be read: is source.format right?")
	}
	if n := s.Outcomes[string(outcome.Duplicate)]; n > 1 && n == s.Records && s.Before == 0 {
		hints = append(hints, "every record repeats an earlier one: does the key name the effect?")
	}
	if n := s.Outcomes[string(outcome.Delivered)]; n == 1 && s.Here > 0 && s.Records > 2 &&
		s.Here >= s.Records-s.filtered()-1 {
		hints = append(hints, "all records but one repeat the same key: does the key name the effect?")
	}
	if h := s.FirstHalt; h != nil {
		hints = append(hints, haltHint(h))
	}
	return hints
}

func (s *Summary) filtered() int {
	return s.Outcomes[string(outcome.Filtered)] - s.Reasons[string(outcome.Filtered)]["tombstone"]
}

// whyFiltered tells what the filter saw.
func (s *Summary) whyFiltered() []string {
	var hints []string
	for _, name := range slices.Sorted(maps.Keys(s.filter)) {
		t := s.filter[name]
		total := t.other
		for _, n := range t.values {
			total += n
		}
		if n := t.values["null"]; n == total {
			hints = append(hints, name+" was missing or null in all of them")
			continue
		}
		var most []string
		values := slices.SortedFunc(maps.Keys(t.values), func(a, b string) int {
			return cmp.Or(cmp.Compare(t.values[b], t.values[a]), cmp.Compare(a, b))
		})
		for _, v := range values[:min(3, len(values))] {
			most = append(most, fmt.Sprintf("%s in %s", diag.Clip(v, 40), percent(t.values[v], total)))
		}
		if len(values) > 3 {
			most = append(most, fmt.Sprintf("and %d others", len(values)-3))
		}
		hints = append(hints, name+" was "+strings.Join(most, ", "))
	}
	return hints
}

func haltHint(r *Result) string {
	at := r.Record.Coordinates()
	switch r.Halt {
	case HaltStop:
		return fmt.Sprintf("the pipeline would stop at %s (%s): what follows is shown as if it went on", at, r.Reason)
	case HaltBlock:
		return fmt.Sprintf("the pipeline would stand still at %s (%s), since dead_letter is off: what follows is "+
			"shown as if it went on", at, r.Reason)
	default:
		return fmt.Sprintf("%s would wait: another process works on its key now", at)
	}
}

// counted lists reasons with their numbers, the most frequent first.
func counted(reasons map[string]int) string {
	names := slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", reasons[name], name)
	}
	return strings.Join(names, ", ")
}

// percent is a share for people: never 0 % of something, nor 100 % of not all.
func percent(n, of int) string {
	switch {
	case of == 0 || n == 0:
		return "0 %"
	case n*100 < of:
		return "<1 %"
	case n < of && n*1000 >= of*995:
		return ">99 %"
	default:
		return fmt.Sprintf("%.0f %%", float64(n)*100/float64(of))
	}
}

// valueText is a value of an expression as JSON.
func valueText(v any) string { return string(valueJSON(v)) }
