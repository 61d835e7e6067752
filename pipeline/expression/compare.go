package expression

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// equal is == : values of different types are never equal, integers and
// fractions are one type and compared exactly.
func equal(in *input, a, b any) bool {
	k := kindOf(a)
	if k != kindList && k != kindObject {
		return equalFlat(in, a, b)
	}
	if kindOf(b) != k {
		return false
	}
	// Both are weighed whole: whether a half or a difference is met first would
	// be for the order of fields to say.
	return equalWeighed(in, a, b, in.weigh(a))
}

// equalWeighed is equal for a list or an object a of a size, and a b of the same
// kind. It is charged as if both were gone through to the end: where they differ
// first is for the order of fields to say.
func equalWeighed(in *input, a, b any, of size) bool {
	other := in.weigh(b)
	in.step(2*stepsOfValue*other.values + other.text/scannedAStep + stepsOfDigits*(of.bigs+other.bigs))
	return equalNested(a, b)
}

func equalNested(a, b any) bool {
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equalNested(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			if w, ok := y[k]; !ok || !equalNested(v, w) {
				return false
			}
		}
		return true
	}
	return equalFlat(nil, a, b)
}

// equalFlat charges no in that is nil.
func equalFlat(in *input, a, b any) bool {
	switch x := a.(type) {
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case time.Duration:
		y, ok := b.(time.Duration)
		return ok && x == y
	case *time.Location:
		y, ok := b.(*time.Location)
		return ok && x.String() == y.String()
	}
	return equalScalars(in, scalarOf(a), scalarOf(b))
}

func equalScalars(in *input, a, b scalar) bool {
	if a.kind == kindHalf || b.kind == kindHalf {
		failf("%s cannot be compared", halfText)
	}
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case kindNull:
		return true
	case kindBool:
		return a.b == b.b
	case kindText:
		if len(a.s) != len(b.s) {
			return false
		}
		if in != nil {
			in.step(len(a.s) / scannedAStep)
		}
		return a.s == b.s
	case kindNumber:
		if in != nil && (a.form == formBig || b.form == formBig) {
			in.step(stepsOfDigits + max(len(a.s), len(b.s))/scannedAStep)
		}
		return equalNumbers(a, b)
	default:
		return false
	}
}

func equalNumbers(a, b scalar) bool {
	if a.form == formBig || b.form == formBig {
		return digits(a) == digits(b)
	}
	return orderNumbers(a, b) == 0
}

// digits is a number's integer text: floats beyond 64 bits are whole, and 'f'
// writes them exactly.
func digits(s scalar) string {
	switch s.form {
	case formInt:
		return strconv.FormatInt(s.i, 10)
	case formFloat:
		return strconv.FormatFloat(s.f, 'f', 0, 64)
	default:
		return s.s
	}
}

// orderNumbers compares two numbers exactly; neither is beyond 64 bits.
func orderNumbers(a, b scalar) int {
	switch {
	case a.form == formInt && b.form == formInt:
		return cmp.Compare(a.i, b.i)
	case a.form == formInt:
		return orderMixed(a.i, b.f)
	case b.form == formInt:
		return -orderMixed(b.i, a.f)
	default:
		return cmp.Compare(a.f, b.f)
	}
}

// orderMixed compares without turning i into a fraction, which would round
// integers above 2^53.
func orderMixed(i int64, f float64) int {
	if f >= 1<<63 {
		return -1
	}
	if f < -(1 << 63) {
		return 1
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(i, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(0, f-whole)
}

// order is what < <= > >= stand on.
func order(in *input, op *operation, a, b any) int {
	switch x := a.(type) {
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return cmp.Compare(x, y)
		}
	}
	return orderScalars(in, op, scalarOf(a), scalarOf(b))
}

func orderScalars(in *input, op *operation, a, b scalar) int {
	if a.kind == kindNumber && b.kind == kindNumber && a.form != formBig && b.form != formBig {
		return orderNumbers(a, b)
	}
	if a.kind == kindText && b.kind == kindText {
		in.step(min(len(a.s), len(b.s)) / scannedAStep)
		return strings.Compare(a.s, b.s)
	}
	for i, s := range [2]scalar{a, b} {
		switch {
		case s.kind == kindNumber && s.form == formBig:
			failf("%s is beyond 64 bits: cannot compare with %s", op.operand(i), op.name)
		case s.kind != kindNumber && s.kind != kindText && s.kind != kindTime && s.kind != kindDuration:
			failf("%s is %s: cannot compare with %s", op.operand(i), s.kind, op.name)
		}
	}
	failf("%s is %s and %s is %s: cannot compare with %s", op.operand(0), a.kind, op.operand(1), b.kind, op.name)
	return 0
}

// holds turns the order of two values into the answer of an operator.
func holds(operator string, order int) bool {
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// member is `in`: an element of a list or a key of an object. In anything else
// nothing is.
func memberOf(in *input, a, b any) bool {
	switch list := b.(type) {
	case []any:
		k := kindOf(a)
		nested := k == kindList || k == kindObject
		var of size
		for _, e := range list {
			in.step(stepsOfValue)
			switch {
			case !nested:
				if equalFlat(in, a, e) {
					return true
				}
			case kindOf(e) == k:
				if of.values == 0 {
					of = in.weigh(a)
				}
				if equalWeighed(in, a, e, of) {
					return true
				}
			}
		}
	case map[string]any:
		switch k := a.(type) {
		case string:
			in.step(len(k) / scannedAStep)
			_, ok := list[k]
			return ok
		case half:
			failf("%s is no name", halfText)
		}
	}
	return false
}

// textual answers contains, startsWith and endsWith; with null they are false.
func textual(in *input, op *operation, a, b any) bool {
	x, y := scalarOf(a), scalarOf(b)
	for i, s := range [2]scalar{x, y} {
		if s.kind != kindText && s.kind != kindNull {
			failf("%s is %s: %s needs text", op.operand(i), s.kind, op.name)
		}
	}
	if x.kind == kindNull || y.kind == kindNull {
		return false
	}
	in.step(len(y.s) / scannedAStep)
	switch op.name {
	case "contains":
		in.step(len(x.s))
		return strings.Contains(x.s, y.s)
	case "startsWith":
		return strings.HasPrefix(x.s, y.s)
	default:
		return strings.HasSuffix(x.s, y.s)
	}
}

// truth is a value where true or false is needed: null counts as false.
func truth(op *operation, v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case nil:
		return false
	default:
		failf("%s is %s: %s needs true or false", op.operand(0), kindOf(v), op.name)
		return false
	}
}
