package expression

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"
	"unsafe"
)

// numberFunctions are the functions on numbers, and those on any value.
var numberFunctions = map[string]builtin{
	"int":     {1, 1, kindNumber, func(_ *input, op *operation, a []any) any { return toInt(op, a[0]) }},
	"float":   {1, 1, kindNumber, func(in *input, op *operation, a []any) any { return toFloat(in, op, a[0]) }},
	"abs":     {1, 1, kindAny, absolute},
	"ceil":    {1, 1, kindNumber, rounding(math.Ceil)},
	"floor":   {1, 1, kindNumber, rounding(math.Floor)},
	"round":   {1, 1, kindNumber, rounding(math.Round)},
	"max":     {1, -1, kindAny, func(in *input, op *operation, a []any) any { return extreme(in, op, a, 1) }},
	"min":     {1, -1, kindAny, func(in *input, op *operation, a []any) any { return extreme(in, op, a, -1) }},
	"mean":    {1, -1, kindNumber, mean},
	"median":  {1, -1, kindNumber, median},
	"len":     {1, 1, kindNumber, length},
	"type":    {1, 1, kindText, typeName},
	"bitand":  {2, 2, kindNumber, bitwise(func(a, b int64) int64 { return a & b })},
	"bitor":   {2, 2, kindNumber, bitwise(func(a, b int64) int64 { return a | b })},
	"bitxor":  {2, 2, kindNumber, bitwise(func(a, b int64) int64 { return a ^ b })},
	"bitnand": {2, 2, kindNumber, bitwise(func(a, b int64) int64 { return a &^ b })},
	"bitshl":  {2, 2, kindNumber, shift(func(a int64, by uint64) int64 { return a << by })},
	"bitshr":  {2, 2, kindNumber, shift(func(a int64, by uint64) int64 { return a >> by })},
	"bitushr": {2, 2, kindNumber, shift(func(a int64, by uint64) int64 { return int64(uint64(a) >> by) })},
	"bitnot":  {1, 1, kindNumber, func(_ *input, op *operation, a []any) any { return ^op.whole(0, scalarOf(a[0])) }},
}

func absolute(_ *input, op *operation, args []any) any {
	if d, ok := args[0].(time.Duration); ok {
		return d.Abs()
	}
	s := op.number(0, args[0])
	switch {
	case s.form == formFloat:
		return math.Abs(s.f)
	case s.i == math.MinInt64:
		failf("abs(%s) is beyond 64 bits", op.operand(0))
	case s.i < 0:
		return -s.i
	}
	return s.i
}

func rounding(by func(float64) float64) func(*input, *operation, []any) any {
	return func(_ *input, op *operation, args []any) any {
		s := op.number(0, args[0])
		if s.form == formInt {
			return s.i
		}
		return by(s.f)
	}
}

// numbersOf are all numbers in the arguments and the lists in them.
func numbersOf(in *input, op *operation, args []any) []scalar {
	total := 0
	for _, a := range args {
		total += in.weigh(a).values
	}
	in.step(stepsOfValue * total)
	in.made(int(unsafe.Sizeof(scalar{})) * total)
	out := make([]scalar, 0, total)
	for i, a := range args {
		if list, ok := a.([]any); ok {
			out = elementNumbers(&operation{name: op.name, operands: []string{"an element of " + op.operand(i)}}, out,
				list)
		} else {
			out = append(out, op.number(i, a))
		}
	}
	return out
}

func elementNumbers(op *operation, out []scalar, list []any) []scalar {
	for _, e := range list {
		if inner, ok := e.([]any); ok {
			out = elementNumbers(op, out, inner)
		} else {
			out = append(out, op.number(0, e))
		}
	}
	return out
}

func extreme(in *input, op *operation, args []any, sign int) any {
	var best *scalar
	for _, s := range numbersOf(in, op, args) {
		if best == nil || orderNumbers(s, *best)*sign > 0 {
			best = &s
		}
	}
	if best == nil {
		return nil
	}
	return best.value()
}

func mean(in *input, op *operation, args []any) any {
	numbers := numbersOf(in, op, args)
	if len(numbers) == 0 {
		return 0.0
	}
	total := 0.0
	for _, s := range numbers {
		total += s.float()
	}
	return op.finite(total / float64(len(numbers)))
}

func median(in *input, op *operation, args []any) any {
	numbers := numbersOf(in, op, args)
	if len(numbers) == 0 {
		return 0.0
	}
	in.sorting(len(numbers), 0)
	slices.SortFunc(numbers, orderNumbers)
	half := len(numbers) / 2
	if len(numbers)%2 == 1 {
		return numbers[half].float()
	}
	return op.finite(numbers[half-1].float()/2 + numbers[half].float()/2)
}

// sum adds a list of numbers, integers exactly.
func sum(in *input, op *operation, list any) any {
	var total any = int64(0)
	add := &operation{name: "+", operands: []string{"the sum", op.operand(0)}}
	in.step(stepsOfCall * len(list.([]any)))
	for _, e := range list.([]any) {
		total = arithmetic(add, total, op.number(0, e).value())
	}
	return total
}

func length(in *input, op *operation, args []any) any {
	switch v := args[0].(type) {
	case string:
		in.step(len(v))
		return int64(utf8.RuneCountInString(v))
	case []any:
		return int64(len(v))
	case map[string]any:
		return int64(len(v))
	}
	failf("%s is %s: len needs text, a list or an object", op.operand(0), kindOf(args[0]))
	return nil
}

// typeName is expr's own name of a type.
func typeName(_ *input, _ *operation, args []any) any {
	switch v := args[0].(type) {
	case float64:
		return "float"
	case nil:
		return "nil"
	default:
		names := map[kind]string{
			kindBool: "bool", kindNumber: "int", kindText: "string", kindList: "array", kindObject: "map",
			kindTime: "time", kindDuration: "duration", kindZone: "timezone", kindHalf: "string",
		}
		return names[kindOf(v)]
	}
}

func bitwise(by func(a, b int64) int64) func(*input, *operation, []any) any {
	return func(_ *input, op *operation, args []any) any {
		return by(op.whole(0, scalarOf(args[0])), op.whole(1, scalarOf(args[1])))
	}
}

func shift(by func(a int64, by uint64) int64) func(*input, *operation, []any) any {
	return func(_ *input, op *operation, args []any) any {
		n := op.whole(1, scalarOf(args[1]))
		if n < 0 {
			failf("%s is negative: %s cannot shift by it", op.operand(1), op.name)
		}
		return by(op.whole(0, scalarOf(args[0])), uint64(n))
	}
}

// rangeOf is from..to.
func rangeOf(in *input, op *operation, from, to any) any {
	a, b := op.whole(0, scalarOf(from)), op.whole(1, scalarOf(to))
	if b < a {
		return []any{}
	}
	if uint64(b)-uint64(a) >= maxList {
		failf("%s has more than %d elements", fmt.Sprintf("%s..%s", op.operand(0), op.operand(1)), maxList)
	}
	in.step(stepsOfItem * int(b-a+1))
	list := make([]any, 0, b-a+1)
	for i := a; ; i++ {
		list = append(list, i)
		if i == b {
			return list
		}
	}
}
