package ingest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// examiner is one copy of a compiled schema, for one value at a time. The library
// has no bound of its own: it goes over every part of a value, in the random
// order of maps, and where a schema refers to itself it looks at the same part
// once for each way that leads there. So the keywords that look into a value are
// taken out of the copy and done by steps.go: in a fixed order, up to the first
// that fails, counted, and no more than once for a part and a schema.
type examiner struct {
	// whole is the schema, and negation says no to what fits it: below a negation
	// the library keeps no errors.
	whole, negation *jsonschema.Schema
	weights         map[*jsonschema.Schema]weight
	// left is how many steps are left; below zero everything stops.
	left int
	// explaining tells that errors are wanted, and not only whether there are any.
	explaining bool
	known      map[visit]bool
	maxKnown   int
}

// visit is a part of the value, by its address, and a schema.
type visit struct {
	schema *jsonschema.Schema
	part   uintptr
}

func newExaminer(location string, loader jsonschema.URLLoader) (*examiner, error) {
	const negation = "millrace:///negation.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(loader)
	if err := compiler.AddResource(negation, map[string]any{"not": map[string]any{"$ref": location}}); err != nil {
		return nil, err
	}
	e := &examiner{weights: map[*jsonschema.Schema]weight{}}
	var err error
	if e.whole, err = compiler.Compile(location); err != nil {
		return nil, err
	}
	if e.negation, err = compiler.Compile(negation); err != nil {
		return nil, err
	}
	return e, e.takeOver(e.whole, map[*jsonschema.Schema]bool{})
}

// examine returns why the value does not fit, nothing if it does.
func (e *examiner) examine(value []byte) ([]reason, error) {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []reason{{Message: "the value cannot be read"}}, nil
	}
	if found := impossible(nil, nil, decoded); len(found) > 0 {
		return found, nil
	}
	defer func() { e.known = nil }()
	e.known, e.maxKnown = map[visit]bool{}, 1000+len(value)/4
	e.left, e.explaining = baseSteps+stepsPerByte*len(value), false
	fits := e.charge(e.whole, decoded, 1) && e.negation.Validate(decoded) != nil
	switch {
	case e.left < 0:
		return nil, errCostly
	case fits:
		return nil, nil
	}
	e.left, e.explaining = reasonSteps, true
	if err = e.whole.Validate(decoded); err == nil || e.left < 0 {
		return []reason{{Message: "it does not fit; where exactly would take too long to find out"}}, nil
	}
	return reasonsOf(err), nil
}

// look checks a part of the value that lies at a place below ctx's, and returns
// why it does not fit.
func (e *examiner) look(ctx *jsonschema.ValidatorContext, schema *jsonschema.Schema, part any,
	at string) *jsonschema.ValidationError {
	address, nested := addressOf(part)
	key := visit{schema, address}
	if fits, ok := e.known[key]; ok && nested && (fits || !e.explaining) {
		if fits {
			return nil
		}
		return &jsonschema.ValidationError{}
	}
	times := 1
	if e.explaining {
		// Each error repeats its place.
		bytes := len(at)
		for _, token := range ctx.ValueLocation() {
			bytes += len(token) + 16
		}
		times += bytes / 64
	}
	if !e.charge(schema, part, times) {
		return &jsonschema.ValidationError{}
	}
	err, _ := ctx.Validate(schema, part, []string{at}).(*jsonschema.ValidationError)
	if nested && e.left >= 0 && len(e.known) < e.maxKnown {
		e.known[key] = err == nil
	}
	return err
}

// addressOf is where a list or an object lies; nested tells whether it holds
// others. Only those can be the root of much work.
func addressOf(part any) (address uintptr, nested bool) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			if nested = holds(item); nested {
				return reflect.ValueOf(part).Pointer(), true
			}
		}
	case map[string]any:
		for _, item := range part {
			if nested = holds(item); nested {
				return reflect.ValueOf(part).Pointer(), true
			}
		}
	}
	return 0, false
}

func holds(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

// charge counts what it takes to hold a value against a schema, and tells whether
// there are steps left.
func (e *examiner) charge(schema *jsonschema.Schema, value any, times int) bool {
	w := e.weigh(schema, nil)
	steps := w.nodes
	switch v := value.(type) {
	case string:
		steps = w.nodes*(1+len(v)/64) + w.text*len(v)/64
	case json.Number:
		steps += w.number * numberSteps(v)
	case map[string]any:
		steps = w.nodes * (1 + len(v)/2)
	case []any:
		if w.unique > 0 {
			steps += 8 * w.unique * e.size(v)
		}
	}
	return e.take(steps * times)
}

// take takes steps, and tells whether there were as many.
func (e *examiner) take(steps int) bool {
	if e.left >= 0 {
		e.left -= min(steps, e.left+1)
	}
	return e.left >= 0
}

// size is what it takes to go over a value, which is counted too.
func (e *examiner) size(value any) int {
	total := 1
	switch v := value.(type) {
	case string:
		total += len(v) / 64
	case json.Number:
		total += numberSteps(v)
	case []any:
		for _, item := range v {
			if e.left < 0 {
				break
			}
			total += e.size(item)
		}
	case map[string]any:
		for _, item := range v {
			if e.left < 0 {
				break
			}
			total += 1 + e.size(item)
		}
	}
	if total > e.left {
		e.left = -1
	}
	return total
}

// numberSteps is what it takes to make a fraction of a number's text.
func numberSteps(n json.Number) int {
	_, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	zeros, _ := strconv.Atoi(exponent)
	return 1 + (len(n)+max(zeros, -zeros))/8
}
