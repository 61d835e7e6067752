package expression

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// maxWidth is the largest width and precision of a verb.
const maxWidth = 1000

// verbs are those of Go that mean something for the values of a record, and what
// each takes.
var verbs = map[byte]kinds{
	's': isText, 'q': isText, 'v': isAny &^ isNull, 'x': isText | isNumber, 'X': isText | isNumber, 't': isBool,
	'd': isNumber, 'b': isNumber, 'o': isNumber, 'O': isNumber, 'c': isNumber, 'U': isNumber,
	'e': isNumber, 'E': isNumber, 'f': isNumber, 'F': isNumber, 'g': isNumber, 'G': isNumber,
}

// verb is one directive of a pattern, such as %-8.2f.
type verb struct {
	letter           byte
	width, precision int
}

func (v verb) String() string { return "%" + string(v.letter) }

// pattern is a constant pattern of format, as Go takes it: %v is %s there, on the
// text of the value.
type pattern struct {
	text  string
	verbs []verb
}

func parsePattern(text string) (pattern, *patternMiss) {
	p, out := pattern{}, []byte(nil)
	for i := 0; i < len(text); {
		if text[i] != '%' || strings.HasPrefix(text[i:], "%%") {
			n := 1
			if text[i] == '%' {
				n = 2
			}
			out, i = append(out, text[i:i+n]...), i+n
			continue
		}
		v, size, miss := parseVerb(text[i:])
		if miss != nil {
			miss.at += i
			return p, miss
		}
		out = append(out, text[i:i+size]...)
		if v.letter == 'v' {
			out[len(out)-1] = 's'
		}
		p.verbs, i = append(p.verbs, v), i+size
	}
	p.text = string(out)
	return p, nil
}

// parseVerb reads the directive that a text begins with.
func parseVerb(text string) (v verb, size int, miss *patternMiss) {
	v.precision = -1
	i := 1
	for i < len(text) && strings.IndexByte("+-# 0", text[i]) >= 0 {
		i++
	}
	flags := text[1:i]
	number := func() (n int) {
		from := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		n, err := strconv.Atoi("0" + text[from:i])
		if (err != nil || n > maxWidth) && miss == nil {
			miss = &patternMiss{from, i - from, "a width or precision is at most 1,000", ""}
		}
		return n
	}
	v.width = number()
	if i < len(text) && text[i] == '.' {
		i++
		v.precision = number()
	}
	if miss != nil {
		return v, i, miss
	}
	if i == len(text) {
		return v, i, &patternMiss{0, i, "this % begins no verb", "write %% for the sign itself"}
	}
	_, runeSize := utf8.DecodeRuneInString(text[i:])
	v.letter, size = text[i], i+runeSize
	switch _, known := verbs[v.letter]; {
	case v.letter == '*' || v.letter == '[':
		return v, size, &patternMiss{0, size, "widths are written out, and values taken in their order", ""}
	case !known:
		return v, size, &patternMiss{0, size, "there is no verb " + text[:size],
			"verbs are %s %q %v %d %x %X %o %b %c %U %e %f %g %t, and %% is the sign itself"}
	case v.letter == 'v' && strings.Trim(flags, "-") != "":
		return v, size, &patternMiss{0, size, "%v has no flag but -", "write %d or %f for a number"}
	}
	return v, size, nil
}

// formatting is format(pattern, …) with its pattern read once.
func (c *compilation) formatting(n ast.Node, op *operation, args []term) (builtin, bool) {
	b := builtins[op.name]
	text, ok := args[0].value.(string)
	if !args[0].constant || !ok {
		c.find(args[0].original, CodeNotConstant, "the pattern of format must be constant text", "")
		return b, false
	}
	p, miss := parsePattern(text)
	switch {
	case miss != nil:
		c.findWithin(args[0].original, text, *miss, CodePattern, "the pattern cannot be read")
		return b, false
	case len(p.verbs) != len(args)-1:
		c.find(n, CodeArguments, fmt.Sprintf("the pattern has %s, and format %s behind it",
			diag.Count(len(p.verbs), "verb"), diag.Count(len(args)-1, "value")), "")
		return b, false
	}
	b.fn = func(in *input, op *operation, args []any) any { return p.write(in, op, args) }
	return b, true
}

// write charges what it may make before it makes it.
func (p pattern) write(in *input, op *operation, args []any) string {
	values, most := make([]any, len(p.verbs)), len(p.text)
	for i, v := range p.verbs {
		var size int
		values[i], size = v.take(in, op, i+1, args[i+1])
		most += v.width + max(v.precision, 0) + size
	}
	in.room(most)
	in.step(most)
	return fmt.Sprintf(p.text, values...)
}

// take is argument i as Go's fmt shall have it, and how many bytes it becomes at
// most beside width and precision.
func (v verb) take(in *input, op *operation, i int, arg any) (any, int) {
	text, isText := arg.(string)
	switch v.letter {
	case 'v':
		text = op.rendered(in, i, arg)
		return text, len(text)
	case 's':
		text = v.text(op, i, arg)
		return text, len(text)
	case 'q':
		text = v.text(op, i, arg)
		in.step(stepsOfLetter * len(text))
		return text, 4*len(text) + 2
	case 't':
		b, ok := arg.(bool)
		if !ok {
			failf("%s is %s: %s of format needs true or false", op.operand(i), kindOf(arg), v)
		}
		return b, len("false")
	case 'e', 'E', 'f', 'F', 'g', 'G':
		return v.number(in, op, i, arg)
	case 'x', 'X':
		if isText {
			return text, 5*len(text) + 2
		}
	}
	// An integer of 64 digits at most, with what stands before and behind it.
	const digits = 80
	n := (&operation{name: v.String() + " of " + op.name, operands: op.operands}).whole(i, scalarOf(arg))
	if (v.letter == 'c' || v.letter == 'U') && (n < 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n))) {
		failf("%s is the number of no character", op.operand(i))
	}
	in.step(stepsOfJSON)
	return n, digits
}

func (v verb) text(op *operation, i int, arg any) string {
	text, ok := arg.(string)
	if !ok {
		failf("%s is %s: %s of format needs text, and %%v takes any value", op.operand(i), kindOf(arg), v)
	}
	return text
}

// number is a number to be written with a fraction. Integers stay exact.
func (v verb) number(in *input, op *operation, i int, arg any) (any, int) {
	const digits = 340
	const exact = 1 << 53
	s := (&operation{name: v.String() + " of " + op.name, operands: op.operands}).number(i, arg)
	if s.form == formInt && (s.i > exact || s.i < -exact) {
		in.step(stepsOfDigits)
		return new(big.Float).SetInt64(s.i), digits
	}
	f := s.float()
	switch size := math.Abs(f); {
	case size != 0 && size < smallestExact:
		in.step(stepsOfTiny)
	case size > 1e21 || size != 0 && size < 1e-9:
		in.step(stepsOfDigits)
	default:
		in.step(stepsOfFraction)
	}
	return f, digits
}

// verbAt is a verb of a pattern that is known.
func verbAt(t Type, i int) (verb, bool) {
	if len(t.texts) != 1 {
		return verb{}, false
	}
	p, miss := parsePattern(t.texts[0])
	if miss != nil || i >= len(p.verbs) {
		return verb{}, false
	}
	return p.verbs[i], true
}
