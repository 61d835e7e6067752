package expression

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// arithmetic computes one of + - * / % ** on two values.
func arithmetic(op *operation, a, b any) any {
	x, y := scalarOf(a), scalarOf(b)
	if x.kind == kindNumber && y.kind == kindNumber {
		return op.numbers(x, y)
	}
	if v, ok := temporal(op, a, b); ok {
		return v
	}
	for i, s := range [2]scalar{x, y} {
		if s.kind == kindNull || (s.kind != kindNumber && s.kind != kindText && s.kind != kindTime &&
			s.kind != kindDuration) ||
			(op.name != "+" && s.kind == kindText) {
			failf("%s is %s: cannot calculate with %s", op.operand(i), s.kind, op.name)
		}
	}
	failf("%s is %s and %s is %s: cannot calculate with %s", op.operand(0), x.kind, op.operand(1), y.kind, op.name)
	return nil
}

// plus is arithmetic for +, which also joins text.
func plus(in *input, op *operation, a, b any) any {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			in.made(len(x) + len(y))
			return x + y
		}
	}
	return arithmetic(op, a, b)
}

func (o *operation) numbers(x, y scalar) any {
	for i, s := range [2]scalar{x, y} {
		if s.form == formBig {
			failf("%s is beyond 64 bits: cannot calculate with %s", o.operand(i), o.name)
		}
	}
	if x.form == formInt && y.form == formInt {
		return o.integers(x.i, y.i)
	}
	a, b := x.float(), y.float()
	switch o.name {
	case "+":
		return o.finite(a + b)
	case "-":
		return o.finite(a - b)
	case "*":
		return o.finite(a * b)
	case "/":
		if b == 0 {
			failf("%s / %s: division by zero", o.operand(0), o.operand(1))
		}
		return o.finite(a / b)
	case "%":
		return o.integers(o.whole(0, x), o.whole(1, y))
	default:
		return o.finite(math.Pow(a, b))
	}
}

func (o *operation) integers(a, b int64) any {
	switch o.name {
	case "+":
		if r := a + b; (r > a) == (b > 0) {
			return r
		}
	case "-":
		if r := a - b; (r < a) == (b > 0) {
			return r
		}
	case "*":
		if r, ok := multiply(a, b); ok {
			return r
		}
	case "/":
		if b == 0 {
			failf("%s / %s: division by zero", o.operand(0), o.operand(1))
		}
		if b != -1 && a%b != 0 {
			return float64(a) / float64(b)
		}
		if a != math.MinInt64 || b != -1 {
			return a / b
		}
	case "%":
		if b == 0 {
			failf("%s %% %s: division by zero", o.operand(0), o.operand(1))
		}
		if b == -1 {
			return int64(0)
		}
		return a % b
	default:
		if b < 0 {
			return o.finite(math.Pow(float64(a), float64(b)))
		}
		if r, ok := power(a, b); ok {
			return r
		}
	}
	failf("%s %s %s is beyond 64 bits", o.operand(0), o.name, o.operand(1))
	return nil
}

func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), lo <= 1<<63
	}
	return int64(lo), lo < 1<<63
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func power(a, b int64) (int64, bool) {
	r := int64(1)
	for ok := true; b > 0; {
		if b&1 == 1 {
			if r, ok = multiply(r, a); !ok {
				return 0, false
			}
		}
		if b >>= 1; b > 0 {
			if a, ok = multiply(a, a); !ok {
				return 0, false
			}
		}
	}
	return r, true
}

func (s scalar) float() float64 {
	if s.form == formInt {
		return float64(s.i)
	}
	return s.f
}

func (o *operation) finite(f float64) float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		if len(o.operands) == 2 {
			failf("%s %s %s is no number that can be held", o.operand(0), o.name, o.operand(1))
		}
		failf("the result of %s is no number that can be held", o.name)
	}
	return f
}

// whole is operand i as an integer; a fraction such as 2.0 is one too.
func (o *operation) whole(i int, s scalar) int64 {
	if s.kind != kindNumber {
		failf("%s is %s: %s needs a whole number", o.operand(i), s.kind, o.name)
	}
	switch {
	case s.form == formInt:
		return s.i
	case s.form == formFloat && s.f == math.Trunc(s.f) && s.f >= -(1<<63) && s.f < 1<<63:
		return int64(s.f)
	case s.form == formBig:
		failf("%s is beyond 64 bits: cannot calculate with %s", o.operand(i), o.name)
	}
	failf("%s is no whole number: %s needs one", o.operand(i), o.name)
	return 0
}

// number is operand i as a number that can be computed with.
func (o *operation) number(i int, v any) scalar {
	s := scalarOf(v)
	if s.kind != kindNumber {
		failf("%s is %s: %s needs a number", o.operand(i), s.kind, o.name)
	}
	if s.form == formBig {
		failf("%s is beyond 64 bits: cannot calculate with %s", o.operand(i), o.name)
	}
	return s
}

func negate(op *operation, v any) any {
	if d, ok := v.(time.Duration); ok {
		return -d
	}
	s := scalarOf(v)
	if s.kind == kindNull || s.kind != kindNumber {
		failf("%s is %s: cannot calculate with -", op.operand(0), s.kind)
	}
	switch s = op.number(0, v); {
	case s.form == formFloat:
		return -s.f
	case s.i == math.MinInt64:
		failf("-%s is beyond 64 bits", op.operand(0))
	}
	return -s.i
}

func toInt(op *operation, v any) any {
	if t, ok := v.(string); ok {
		i, err := strconv.ParseInt(t, 10, 64)
		if err != nil {
			failf("%s is text that is no whole number of 64 bits: int cannot read it", op.operand(0))
		}
		return i
	}
	s := scalarOf(v)
	if s.kind != kindNumber {
		failf("%s is %s: int needs a number or text", op.operand(0), s.kind)
	}
	switch {
	case s.form == formInt:
		return s.i
	case s.form == formFloat && s.f >= -(1<<63) && s.f < 1<<63:
		return int64(s.f)
	}
	failf("int(%s) is beyond 64 bits", op.operand(0))
	return nil
}

func toFloat(in *input, op *operation, v any) any {
	if t, ok := v.(string); ok {
		f, err := strconv.ParseFloat(t, 64)
		if err != nil || strings.Trim(t, "0123456789+-.eE") != "" {
			failf("%s is text that is no number: float cannot read it", op.operand(0))
		}
		in.parsed(scalar{kind: kindNumber, form: formFloat, f: f}, len(t))
		return f
	}
	if kindOf(v) != kindNumber {
		failf("%s is %s: float needs a number or text", op.operand(0), kindOf(v))
	}
	return op.number(0, v).float()
}

// appendNumber writes a computed number: an integer in decimal, a fraction as
// short as reads back the same, in the notation of encoding/json.
func appendNumber(dst []byte, s scalar) []byte {
	switch s.form {
	case formInt:
		return strconv.AppendInt(dst, s.i, 10)
	case formBig:
		return append(dst, s.s...)
	}
	abs := math.Abs(s.f)
	if abs == 0 {
		return append(dst, '0')
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, s.f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, s.f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
