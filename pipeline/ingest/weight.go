package ingest

import (
	"encoding/json"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// weight is how much a schema and all that it applies to the same value ask of
// that value, of what it holds aside.
type weight struct {
	// nodes is the number of schemas, and what their constants add.
	nodes int
	// text is what each letter of a text is held against, in instructions of
	// regular expressions; number counts what needs the exact value of a number, and
	// unique what compares all items of a list.
	text, number, unique int
}

// maxWeight bounds sums that grow with each reference.
const maxWeight = 1 << 32

func (w weight) plus(o weight) weight {
	sum := func(a, b int) int { return min(a+b, maxWeight) }
	return weight{sum(w.nodes, o.nodes), sum(w.text, o.text), sum(w.number, o.number), sum(w.unique, o.unique)}
}

// weigh returns the weight of a schema. One that leads back to itself, on the
// way in active, is an error of the library without more work.
func (e *examiner) weigh(s *jsonschema.Schema, active []*jsonschema.Schema) weight {
	if w, ok := e.weights[s]; ok {
		return w
	}
	for _, above := range active {
		if above == s {
			return weight{nodes: 1}
		}
	}
	w := ownWeight(s)
	for _, other := range inPlace(s) {
		w = w.plus(e.weigh(other, append(active, s)))
	}
	e.weights[s] = w
	return w
}

func ownWeight(s *jsonschema.Schema) weight {
	w := weight{nodes: 1 + (len(s.Required)+len(s.DependentRequired))/8}
	if s.Pattern != nil {
		w.text += instructions(s.Pattern)
	}
	switch {
	case s.Format == nil:
	case s.Format.Name == "regex":
		w.text += 1000 // it is compiled
	default:
		w.text += 8
	}
	if s.Types != nil {
		for _, t := range s.Types.ToStrings() {
			if t == "integer" {
				w.number++
			}
		}
	}
	if s.Minimum != nil || s.Maximum != nil || s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil {
		w.number++
	}
	if s.MultipleOf != nil {
		w.number += 3
	}
	if s.UniqueItems {
		w.unique++
	}
	constants := []any{}
	if s.Const != nil {
		constants = append(constants, *s.Const)
	}
	if s.Enum != nil {
		constants = append(constants, s.Enum.Values...)
	}
	w.nodes += len(constants) / 32
	for _, c := range constants {
		switch c.(type) {
		case json.Number:
			w.number += 3
		case []any, map[string]any:
			w.nodes += constantSize(c)
		}
	}
	return w
}

// instructions is how many steps of an expression each letter may meet.
func instructions(r jsonschema.Regexp) int {
	parsed, err := syntax.Parse(r.String(), syntax.Perl)
	if err != nil {
		return 100 // it has been compiled: there are none such
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 100
	}
	return len(program.Inst)
}

func constantSize(c any) int {
	size := 1
	switch c := c.(type) {
	case []any:
		for _, item := range c {
			size += constantSize(item)
		}
	case map[string]any:
		for _, item := range c {
			size += constantSize(item)
		}
	}
	return size
}

// inPlace are the schemas that s applies to the same value.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, other := range s.DependentSchemas {
		all = append(all, other)
	}
	for _, other := range s.Dependencies {
		if other, ok := other.(*jsonschema.Schema); ok {
			all = append(all, other)
		}
	}
	return withoutNil(all)
}

func withoutNil(all []*jsonschema.Schema) (there []*jsonschema.Schema) {
	for _, s := range all {
		if s != nil {
			there = append(there, s)
		}
	}
	return there
}
