package expression

import (
	"fmt"
	"math"
	"strings"
	"time"
	// Time zones must not depend on what the machine has installed.
	_ "time/tzdata"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

// timeFunctions are the functions on times. None knows the machine's zone.
var timeFunctions = map[string]builtin{
	"date":     {1, 4, kindTime, date},
	"duration": {1, 1, kindDuration, duration},
	"timezone": {1, 1, kindZone, func(_ *input, op *operation, a []any) any { return zone(op, op.text(0, a)) }},
}

// duration reads what a field of the configuration takes, such as 8d, and what
// Go does, such as -1h.
func duration(_ *input, op *operation, args []any) any {
	text := op.text(0, args)
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	unsigned, negative := strings.CutPrefix(text, "-")
	d, err := handlers.ParseDuration(unsigned)
	if err != nil {
		failf(`%s is text that is no duration such as "1h30m" or "8d"`, op.operand(0))
	}
	if negative {
		return -d
	}
	return d
}

func zone(op *operation, name string) *time.Location {
	if name == "" || name == "Local" {
		failf("the time zone of %s must be a name such as Europe/Berlin", op.name)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		failf("%s: there is no time zone of this name", op.name)
	}
	return z
}

// date reads a time: date(text), date(text, layout), date(text, layout, zone),
// each with a timezone(...) before it instead. Text without a zone is in UTC.
func date(in *input, op *operation, args []any) any {
	at, first := time.UTC, 0
	if z, ok := args[0].(*time.Location); ok {
		at, first = z, 1
	}
	if len(args) <= first || len(args) > first+3 {
		failf("date takes a text, a layout and a time zone")
	}
	in.step(stepsOfTime)
	text := op.text(first, args)
	layouts := []string{
		"2006-01-02", "15:04:05", "2006-01-02 15:04:05", time.RFC3339, time.RFC822, time.RFC850, time.RFC1123,
	}
	if len(args) > first+1 {
		layouts = []string{op.text(first+1, args)}
	}
	if len(args) > first+2 {
		if z, ok := args[first+2].(*time.Location); ok {
			at = z
		} else {
			at = zone(op, op.text(first+2, args))
		}
	}
	for _, layout := range layouts {
		in.step(stepsOfValue * (len(layout) + len(text)))
		if t, err := time.ParseInLocation(layout, text, at); err == nil {
			return t
		}
	}
	failf("%s is text that is no time", op.operand(first))
	return nil
}

// temporal computes with times and durations.
func temporal(op *operation, a, b any) (any, bool) {
	switch x := a.(type) {
	case time.Time:
		switch y := b.(type) {
		case time.Duration:
			if op.name == "+" {
				return x.Add(y), true
			}
			if op.name == "-" {
				return x.Add(-y), true
			}
		case time.Time:
			if op.name == "-" {
				return x.Sub(y), true
			}
		}
	case time.Duration:
		switch y := b.(type) {
		case time.Time:
			if op.name == "+" {
				return y.Add(x), true
			}
		case time.Duration:
			switch op.name {
			case "+", "-":
				return time.Duration(op.integers(int64(x), int64(y)).(int64)), true
			case "/":
				return op.numbers(scalarOf(int64(x)), scalarOf(int64(y))), true
			}
		case int64, float64:
			if op.name == "*" || op.name == "/" {
				return scaled(op, x, y), true
			}
		}
	case int64, float64:
		if y, ok := b.(time.Duration); ok && op.name == "*" {
			return scaled(op, y, x), true
		}
	}
	return nil, false
}

func scaled(op *operation, d time.Duration, by any) time.Duration {
	s := scalarOf(op.numbers(scalarOf(int64(d)), scalarOf(by)))
	if s.form == formInt {
		return time.Duration(s.i)
	}
	if s.f >= 1<<63 || s.f < -(1<<63) {
		failf("%s %s %s is beyond 64 bits", op.operand(0), op.name, op.operand(1))
	}
	return time.Duration(math.Round(s.f))
}

// method is what can be called on a time or a duration.
type method struct {
	args       int
	ofTime     func(op *operation, t time.Time, args []any) any
	ofDuration func(op *operation, d time.Duration, args []any) any
}

func timePart[T ~int | ~int64](part func(time.Time) T) method {
	return method{ofTime: func(_ *operation, t time.Time, _ []any) any { return int64(part(t)) }}
}

func durationPart[T int64 | float64](part func(time.Duration) T) method {
	return method{ofDuration: func(_ *operation, d time.Duration, _ []any) any { return any(part(d)) }}
}

func timeTest(test func(t, u time.Time) bool) method {
	return method{args: 1, ofTime: func(op *operation, t time.Time,
		args []any) any {
		return test(t, op.time(1, args[0]))
	}}
}

// methods are all that can be called: none of them knows the machine's zone.
var methods = map[string]method{
	"Year": timePart(time.Time.Year), "Month": timePart(time.Time.Month), "Day": timePart(time.Time.Day),
	"Hour": timePart(time.Time.Hour), "Minute": timePart(time.Time.Minute), "Second": timePart(time.Time.Second),
	"Nanosecond": timePart(time.Time.Nanosecond), "Weekday": timePart(time.Time.Weekday),
	"YearDay": timePart(time.Time.YearDay),
	"Unix":    timePart(time.Time.Unix), "UnixMilli": timePart(time.Time.UnixMilli),
	"UnixMicro": timePart(time.Time.UnixMicro),
	"UnixNano":  timePart(time.Time.UnixNano),
	"Before":    timeTest(time.Time.Before), "After": timeTest(time.Time.After), "Equal": timeTest(time.Time.Equal),
	"UTC": {ofTime: func(_ *operation, t time.Time, _ []any) any { return t.UTC() }},
	"In":  {args: 1, ofTime: func(op *operation, t time.Time, a []any) any { return t.In(op.zone(1, a[0])) }},
	"Format": {args: 1, ofTime: func(op *operation, t time.Time, a []any) any {
		return t.Format(op.textOf(1, a[0]))
	}},
	"Add": {args: 1, ofTime: func(op *operation, t time.Time, a []any) any { return t.Add(op.duration(1, a[0])) }},
	"Sub": {args: 1, ofTime: func(op *operation, t time.Time, a []any) any { return t.Sub(op.time(1, a[0])) }},
	"AddDate": {args: 3, ofTime: func(op *operation, t time.Time, a []any) any {
		return t.AddDate(op.small(1, a[0]), op.small(2, a[1]), op.small(3, a[2]))
	}},
	"Truncate": {
		args:       1,
		ofTime:     func(op *operation, t time.Time, a []any) any { return t.Truncate(op.duration(1, a[0])) },
		ofDuration: func(op *operation, d time.Duration, a []any) any { return d.Truncate(op.duration(1, a[0])) },
	},
	"Round": {
		args:       1,
		ofTime:     func(op *operation, t time.Time, a []any) any { return t.Round(op.duration(1, a[0])) },
		ofDuration: func(op *operation, d time.Duration, a []any) any { return d.Round(op.duration(1, a[0])) },
	},
	"String": {
		ofTime:     func(_ *operation, t time.Time, _ []any) any { return plainTextOf(t) },
		ofDuration: func(_ *operation, d time.Duration, _ []any) any { return plainTextOf(d) },
	},
	"Hours": durationPart(time.Duration.Hours), "Minutes": durationPart(time.Duration.Minutes),
	"Seconds": durationPart(time.Duration.Seconds), "Milliseconds": durationPart(time.Duration.Milliseconds),
	"Microseconds": durationPart(time.Duration.Microseconds), "Nanoseconds": durationPart(time.Duration.Nanoseconds),
	"Abs": {ofDuration: func(_ *operation, d time.Duration, _ []any) any { return d.Abs() }},
}

func (o *operation) time(i int, v any) time.Time {
	t, ok := v.(time.Time)
	if !ok {
		failf("%s is %s: %s needs a time", o.operand(i), kindOf(v), o.name)
	}
	return t
}

func (o *operation) duration(i int, v any) time.Duration {
	d, ok := v.(time.Duration)
	if !ok {
		failf("%s is %s: %s needs a duration", o.operand(i), kindOf(v), o.name)
	}
	return d
}

func (o *operation) zone(i int, v any) *time.Location {
	z, ok := v.(*time.Location)
	if !ok {
		failf("%s is %s: %s needs a timezone(...)", o.operand(i), kindOf(v), o.name)
	}
	return z
}

// small is a whole number that a calendar can take.
func (o *operation) small(i int, v any) int {
	n := o.whole(i, scalarOf(v))
	if n < -1_000_000 || n > 1_000_000 {
		failf("%s is too large for %s", o.operand(i), o.name)
	}
	return int(n)
}

// method is a call of a method on a time or a duration.
func (c *compilation) method(n *ast.CallNode, on ast.Node, name string) term {
	m, ok := methods[name]
	if !ok {
		c.unknownMethod(n, on, name)
		return c.wrong(n)
	}
	if len(n.Arguments) != m.args {
		c.find(n, CodeArguments, fmt.Sprintf("%s takes %s, not %d", name, diag.Count(m.args, "argument"),
			len(n.Arguments)), "")
		return c.wrong(n)
	}
	terms := []term{c.expr(on)}
	op := &operation{name: name, operands: []string{terms[0].text}}
	for _, a := range n.Arguments {
		terms = append(terms, c.expr(a))
		op.operands = append(op.operands, terms[len(terms)-1].text)
	}
	return c.call(n, kindAny, func(in *input, args []any) any {
		in.step(stepsOfTime)
		for _, a := range args[1:] {
			if layout, ok := a.(string); ok {
				in.step(stepsOfValue * len(layout))
			}
		}
		return m.call(op, args)
	}, terms...)
}

func (m method) call(op *operation, args []any) any {
	switch on := args[0].(type) {
	case time.Time:
		if m.ofTime != nil {
			return m.ofTime(op, on, args[1:])
		}
	case time.Duration:
		if m.ofDuration != nil {
			return m.ofDuration(op, on, args[1:])
		}
	}
	needed := "a time"
	if m.ofTime == nil {
		needed = "a duration"
	}
	failf("%s is %s: %s needs %s", op.operand(0), kindOf(args[0]), op.name, needed)
	return nil
}
