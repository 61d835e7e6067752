package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// baseSteps and stepsPerByte are what checking a value may cost, in steps of
	// less than a microsecond. What a schema asks of each part of a value is
	// counted, so that the same value has the same answer everywhere.
	baseSteps    = 300_000
	stepsPerByte = 3
	// reasonSteps is what finding out why a value does not fit may cost.
	reasonSteps = 10_000
	// smallBytes is the size up to which values do not queue behind larger ones:
	// what they take is bounded by how many are checked at once.
	smallBytes = 16 << 10
	// bytesPerMark is the most that a decoded value takes for each comma, colon or
	// bracket of its text.
	bytesPerMark = 128
	// maxExponent is the largest exponent of a number, a little more than that
	// of a 64-bit one, and maxDigits is how long a number may be.
	maxExponent = 400
	maxDigits   = 1000
)

var (
	// errCostly is a value that would take too long to check.
	errCostly = errors.New("it takes too many steps to check the value against the schema")
	// errUnbounded is a schema whose work can't be counted.
	errUnbounded = errors.New("it refers to another part by $dynamicRef or $recursiveRef with an anchor: write $ref, " +
		"so that the work of a check is bounded")
)

// Schema tells whether values fit a JSON Schema, within a number of steps that
// depends on their size alone. It is safe for concurrent use: as many small and as
// many large values are checked at once as there are processors, each with a copy
// of the schema of its own.
type Schema struct {
	location     string
	loader       jsonschema.URLLoader
	small, large chan struct{}

	mu   sync.Mutex
	free []*examiner
}

// NewSchema makes a Schema of the document at location. The loader must hold that
// document and all that it refers to for as long as the Schema is used.
func NewSchema(location string, loader jsonschema.URLLoader) (*Schema, error) {
	first, err := newExaminer(location, loader)
	if err != nil {
		return nil, err
	}
	processors := runtime.GOMAXPROCS(0)
	return &Schema{location: location, loader: loader, free: []*examiner{first},
		small: make(chan struct{}, processors), large: make(chan struct{}, processors)}, nil
}

// check returns why the value, which is JSON, does not fit, nothing if it does.
// The error is errCostly, or that of ctx, which bounds the wait for a processor.
func (s *Schema) check(ctx context.Context, value []byte) (reasons []reason, err error) {
	turn := s.large
	if len(value) <= smallBytes {
		turn = s.small
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e, err := s.examiner()
	if err != nil {
		return nil, err
	}
	reasons, err = e.examine(value)
	// After a panic the copy is not trusted any more.
	s.mu.Lock()
	s.free = append(s.free, e)
	s.mu.Unlock()
	return reasons, err
}

// examiner returns a copy that nobody uses.
func (s *Schema) examiner() (*examiner, error) {
	s.mu.Lock()
	if last := len(s.free) - 1; last >= 0 {
		defer s.mu.Unlock()
		e := s.free[last]
		s.free = s.free[:last]
		return e, nil
	}
	s.mu.Unlock()
	return newExaminer(s.location, s.loader)
}

// decodedBytes is the most memory that a value takes once it is decoded.
func decodedBytes(value []byte) int64 {
	marks := 1
	for _, mark := range []byte(`,:[{`) {
		marks += bytes.Count(value, []byte{mark})
	}
	return int64(marks)*bytesPerMark + int64(len(value))
}

// impossible collects the numbers that a schema can't be asked about: checking is
// exact, so that 1e999999 would be written out digit by digit, and of one that is
// still longer the validator knows no value at all.
func impossible(found []reason, at []string, value any) []reason {
	if len(found) == maxReasons {
		return found
	}
	switch v := value.(type) {
	case json.Number:
		if what := beyond(v.String()); what != "" {
			found = append(found, newReason(at, what))
		}
	case []any:
		for i, item := range v {
			if _, plain := item.(string); !plain {
				found = impossible(found, append(at, strconv.Itoa(i)), item)
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = impossible(found, append(at, name), v[name])
		}
	}
	return found
}

// beyond says what is wrong with a number, if anything is.
func beyond(number string) string {
	if len(number) > maxDigits {
		return "the number has more than " + strconv.Itoa(maxDigits) + " digits"
	}
	_, exponent, has := strings.Cut(strings.ToLower(number), "e")
	if n, err := strconv.Atoi(exponent); has && (err != nil || n > maxExponent || n < -maxExponent) {
		return "the number is out of range"
	}
	return ""
}
