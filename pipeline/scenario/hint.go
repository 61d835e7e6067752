package scenario

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/outcome"
)

// why says why a record did not end as expected, as far as that can be told.
func (in *rehearsal) why(g *got, want string) string {
	switch {
	case g.err != nil && in.unknown && strings.HasSuffix(g.reason, "_failed"):
		return errorHint(g) + "; unset variables are unknown text here: give the test its own under env:"
	case g.err != nil:
		return errorHint(g)
	case g.outcome == outcome.Waiting:
		return "an earlier record stopped the pipeline, or blocks it"
	case g.outcome == outcome.Filtered && g.reason == string(outcome.StageFilter):
		return "the filter was false: " + evaluated(g.steps, outcome.StageFilter)
	case g.outcome == outcome.Unmatched:
		return "no route took it: " + evaluated(g.steps, outcome.StageRoute)
	case g.outcome == outcome.Duplicate && g.calls() > 0:
		return "the process died after the effect: the record came again, and its key was done; calls says how often " +
			"the sink was called"
	case g.outcome == outcome.Duplicate:
		for _, earlier := range in.got[:g.number-1] {
			if earlier.key == g.key {
				return fmt.Sprintf("its key %s was done before, by record %d", strconv.Quote(g.key), earlier.number)
			}
		}
	case want == string(outcome.Duplicate) && g.key == "":
		return "the pipeline has no idempotency, so nothing is a duplicate"
	case want == string(outcome.Duplicate):
		return "no earlier record did its key " + strconv.Quote(g.key) + ", or its time to live was over"
	case want == string(outcome.DeadLettered) && g.calls() > 1:
		return fmt.Sprintf("after %d calls the sink took it", g.calls())
	}
	return ""
}

// evaluated shows the conditions of a stage and what they read.
func evaluated(steps []decide.Step, stage outcome.Stage) string {
	var parts []string
	for _, s := range steps {
		if s.Stage != stage || s.Secret || s.Source == "" {
			continue
		}
		parts = append(parts, s.Source+reads(s.Reads))
	}
	return strings.Join(parts, "; ")
}

func reads(all []expression.Read) string {
	var parts []string
	for _, r := range all {
		value, err := json.Marshal(r.Value)
		if r.Err != nil || err != nil {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s is %.200s", r.Name, value))
	}
	if parts == nil {
		return ""
	}
	return ", where " + strings.Join(parts, ", ")
}

// errorHint is what went wrong with a record.
func errorHint(g *got) string {
	if g.err == nil {
		return ""
	}
	if g.reason != "" {
		return g.reason + ": " + g.err.Error()
	}
	return g.err.Error()
}

// quiet says why no sink was called.
func (g *got) quiet() string {
	if g.err != nil {
		return errorHint(g)
	}
	if len(g.writes) == 0 {
		return "the record is " + string(g.outcome)
	}
	return ""
}

// callsHint says where calls that failed count too.
func callsHint(g *got) string {
	if g.calls() > 1 {
		return "every call counts, those that failed too; -v shows them"
	}
	return ""
}

// nearMiss says of two values that look alike in what they differ.
func nearMiss(want, got []byte) string {
	a, b := parse(want), parse(got)
	x, isText := a.(string)
	y, alsoText := b.(string)
	switch {
	case isText && alsoText && x == y:
		return ""
	case isText && alsoText && strings.EqualFold(x, y):
		return "they differ in upper and lower case"
	case isText && alsoText && strings.TrimSpace(x) == strings.TrimSpace(y):
		return "they differ in white space"
	case isText != alsoText && text(want) == text(got):
		return map[bool]string{true: "text is expected, and it is none: leave the quotes out",
			false: "it is text: put the expected value in quotes"}[isText]
	}
	return deepMiss(a, b)
}

// deepMiss looks for one near miss inside of two objects.
func deepMiss(a, b any) string {
	want, ok := a.(map[string]any)
	got, fine := b.(map[string]any)
	if !ok || !fine {
		return ""
	}
	for _, name := range sortedKeys(want) {
		value, there := got[name]
		if there {
			if hint := nearMiss(marshal(want[name]), marshal(value)); hint != "" {
				return name + ": " + hint
			}
			continue
		}
		for _, other := range sortedKeys(got) {
			if _, named := want[other]; !named && strings.EqualFold(strings.ReplaceAll(name, "_", ""),
				strings.ReplaceAll(other, "_", "")) {
				return fmt.Sprintf("it has %s, not %s", other, name)
			}
		}
	}
	for _, name := range sortedKeys(got) {
		if _, ok := want[name]; !ok && len(got) == len(want)+1 {
			return fmt.Sprintf("it compares whole, and it has %s too", name)
		}
	}
	return ""
}
