package ingest

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const (
	// maxReasons is how many reasons one answer gives, and maxReasonBytes how long
	// each part of one may be.
	maxReasons     = 20
	maxReasonBytes = 500
)

// reason is one thing that is wrong with a record; Path is a JSON Pointer, empty
// for the record as a whole.
type reason struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

func newReason(at []string, message string) reason {
	var path strings.Builder
	for _, part := range at {
		if path.Len() > maxReasonBytes {
			break
		}
		path.WriteString("/" + escapePointer(part))
	}
	return reason{clip(path.String()), clip(message)}
}

// clip cuts what comes from a request, so that no answer is longer for it.
func clip(text string) string {
	if len(text) <= maxReasonBytes {
		return text
	}
	end := maxReasonBytes
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// reasonsOf are the violations that have no more particular ones below them, in
// the order of their paths.
func reasonsOf(err error) []reason {
	invalid, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return []reason{{Message: "the value cannot be checked"}}
	}
	found := leaves(nil, *invalid.DetailedOutput())
	slices.SortFunc(found, func(a, b reason) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message))
	})
	found = slices.Compact(found)
	return found[:min(len(found), maxReasons)]
}

func leaves(found []reason, unit jsonschema.OutputUnit) []reason {
	for _, below := range unit.Errors {
		found = leaves(found, below)
	}
	if len(unit.Errors) == 0 && unit.Error != nil {
		found = append(found, reason{clip(unit.InstanceLocation), clip(explain(*unit.Error))})
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
