package expression

import (
	"encoding/json"
	"fmt"
	"time"
)

// kind is the type of a value as users see it.
type kind uint8

const (
	kindAny kind = iota // only the record tells
	kindNull
	kindBool
	kindNumber
	kindText
	kindList
	kindObject
	kindTime
	kindDuration
	kindZone
	kindHalf // see half
)

// String is the kind with its article, as it reads after "is".
func (k kind) String() string {
	switch k {
	case kindNull:
		return "null"
	case kindBool:
		return "a boolean"
	case kindNumber:
		return "a number"
	case kindText:
		return "text"
	case kindList:
		return "a list"
	case kindObject:
		return "an object"
	case kindTime:
		return "a time"
	case kindDuration:
		return "a duration"
	case kindZone:
		return "a time zone"
	case kindHalf:
		return halfText
	default:
		return "unknown"
	}
}

func kindOf(v any) kind {
	switch v.(type) {
	case nil:
		return kindNull
	case bool:
		return kindBool
	case int64, float64, int, json.Number:
		return kindNumber
	case string:
		return kindText
	case []any:
		return kindList
	case map[string]any:
		return kindObject
	case time.Time:
		return kindTime
	case time.Duration:
		return kindDuration
	case *time.Location:
		return kindZone
	case half:
		return kindHalf
	default:
		return kindAny
	}
}

// form is how the number of a scalar is held.
type form uint8

const (
	formInt   form = iota
	formFloat      // finite, never NaN
	formBig        // beyond 64 bits: its text
)

// scalar is a value without an allocation of its own. Of lists, objects, times
// and durations it holds the kind alone.
type scalar struct {
	kind kind
	form form
	b    bool
	i    int64
	f    float64
	// s is the text, or a big number's digits. It may be a view of a record and
	// must not outlive the evaluation.
	s string
}

func scalarOf(v any) scalar {
	switch v := v.(type) {
	case nil:
		return scalar{kind: kindNull}
	case bool:
		return scalar{kind: kindBool, b: v}
	case int64:
		return scalar{kind: kindNumber, i: v}
	case int:
		return scalar{kind: kindNumber, i: int64(v)}
	case float64:
		return scalar{kind: kindNumber, form: formFloat, f: v}
	case json.Number:
		return scalar{kind: kindNumber, form: formBig, s: string(v)}
	case string:
		return scalar{kind: kindText, s: v}
	default:
		return scalar{kind: kindOf(v)}
	}
}

// value boxes a scalar. Lists and objects have none.
func (s scalar) value() any {
	switch s.kind {
	case kindBool:
		return s.b
	case kindNumber:
		switch s.form {
		case formInt:
			return s.i
		case formFloat:
			return s.f
		default:
			return json.Number(s.s)
		}
	case kindText:
		return s.s
	default:
		return nil
	}
}

// failure is an error of the record under evaluation. The VM's typed calls have
// no error result, so that it travels as a panic from where it is found to the
// VM's own recover, or to protect where no VM runs.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.cause }

func failf(format string, args ...any) {
	panic(&failure{text: fmt.Sprintf(format, args...)})
}

// unknown stands for a constant that Constants.Skip left open: it has any type,
// and so has whatever is computed from it.
type unknown struct{}

// operation is what an error says of the operator or function that failed: its
// name and its operands as the user wrote them.
type operation struct {
	name     string
	operands []string
}

// operand is the text of operand i.
func (o *operation) operand(i int) string {
	if i < len(o.operands) {
		return o.operands[i]
	}
	return fmt.Sprintf("argument %d", i+1)
}
