package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const (
	// maxReasons is how many reasons one answer gives.
	maxReasons = 20
	// maxExponent is the largest exponent of a number, a little more than that
	// of a 64-bit one.
	maxExponent = 400
)

// violations are the ways in which value, which is JSON, breaks the schema.
func violations(schema *jsonschema.Schema, value []byte) []reason {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []reason{{Message: "the value cannot be read: " + err.Error()}}
	}
	if found := outOfRange(nil, "", decoded); len(found) > 0 {
		return found
	}
	err = schema.Validate(decoded)
	if err == nil {
		return nil
	}
	invalid, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return []reason{{Message: "the value cannot be checked: " + err.Error()}}
	}
	found := leaves(nil, *invalid.DetailedOutput())
	// The validator goes over maps, each time in another order.
	slices.SortStableFunc(found, func(a, b reason) int { return strings.Compare(a.Path, b.Path) })
	return found[:min(len(found), maxReasons)]
}

// outOfRange collects the numbers that a schema cannot be asked about: checking
// is exact, so that 1e999999 would be written out digit by digit, and of one
// still longer the validator knows no value at all.
func outOfRange(found []reason, path string, value any) []reason {
	switch v := value.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		if n, err := strconv.Atoi(exponent); exponent != "" && (err != nil || n > maxExponent || n < -maxExponent) && len(found) < maxReasons {
			found = append(found, reason{path, "the number is out of range"})
		}
	case []any:
		for i, item := range v {
			found = outOfRange(found, path+"/"+strconv.Itoa(i), item)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = outOfRange(found, path+"/"+escapePointer(name), v[name])
		}
	}
	return found
}

// leaves collects the violations that have no more particular ones below them.
func leaves(found []reason, unit jsonschema.OutputUnit) []reason {
	for _, below := range unit.Errors {
		found = leaves(found, below)
	}
	if len(unit.Errors) == 0 && unit.Error != nil {
		found = append(found, reason{unit.InstanceLocation, explain(*unit.Error)})
	}
	return found
}

// explain says what is wrong without repeating the value, which may be secret
// and would end in the logs of whatever stands between.
func explain(e jsonschema.OutputError) string {
	switch k := e.Kind.(type) {
	case *kind.Pattern:
		return fmt.Sprintf("must match the pattern %s", k.Want)
	case *kind.Format:
		return fmt.Sprintf("must be a valid %s", k.Want)
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.ContentEncoding:
		return "must be encoded as " + k.Want
	case *kind.ContentMediaType:
		return "must be of the media type " + k.Want
	default:
		return e.String()
	}
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.RatString()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// escapePointer escapes one part of a JSON Pointer (RFC 6901).
func escapePointer(part string) string {
	return strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1")
}
