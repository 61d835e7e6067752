package expression

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// equality is == and !=. Comparing with nil is always legal: what a schema
// requires may still be missing in a record that nobody checked.
func (k *checker) equality(n *ast.BinaryNode, a, b Type) {
	left, right := n.Left, n.Right
	if k.isConstant(left) && !k.isConstant(right) {
		left, right, a, b = right, left, b, a
	}
	k.canEqual(n.Operator == "!=", left, right, a, b)
}

func (k *checker) isConstant(n ast.Node) bool {
	_, constant := k.constants[n]
	return constant
}

// canEqual reports two sides that are never equal; negated tells that they are
// asked to be unequal.
func (k *checker) canEqual(negated bool, left, right ast.Node, a, b Type) bool {
	if a.solid() == 0 || b.solid() == 0 || a.kinds&b.kinds&isNull != 0 {
		return true
	}
	if both := a.Meet(b); both.solid() != 0 {
		return true
	}
	if a.solid()&b.solid() == 0 {
		k.different(CodeNeverEqual, left, right, a, b, "they are never equal")
		return false
	}
	k.otherValue(negated, left, right, a, b)
	return false
}

// different reports two operands of types that do not go together.
func (k *checker) different(code string, left, right ast.Node, a, b Type, why string) {
	at := right
	if k.isConstant(left) && !k.fromOutside(left) {
		at = left
	}
	k.report(at, code, fmt.Sprintf("%s and %s: %s", k.says(left, a), k.says(right, b), why), "")
	f := &k.errors[len(k.errors)-1]
	for _, pair := range []struct {
		part    ast.Node
		against Type
	}{{right, a}, {left, b}} {
		hint, with := k.literalHint(code, pair.part, pair.against)
		if hint == "" {
			continue
		}
		f.Hint = hint
		if with != "" {
			k.mendNode(pair.part, with)
		}
		return
	}
	f.Hint = k.differentHint(left, right, a, b)
}

// literalHint is how a constant is written in another type.
func (k *checker) literalHint(code string, n ast.Node, want Type) (hint, fix string) {
	switch literal := n.(type) {
	case *ast.StringNode:
		text := literal.Value
		switch {
		case want.solid() == isNumber && isNumberText(text):
			return "a number is written without quotes: " + text, text
		case want.solid()&^isBool == 0 && (text == "true" || text == "false"):
			return "true and false are written without quotes: " + text, text
		case want.solid() == isTime && isTimeText(text):
			return "a time is date(" + strconv.Quote(text) + ")", "date(" + strconv.Quote(text) + ")"
		case want.solid() == isDuration:
			return "a duration is duration(" + strconv.Quote(text) + ")", ""
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		// Text that is ordered against a number is to be read as one.
		if want.solid() == isText && code == CodeNeverEqual {
			s := k.span(n)
			quoted := strconv.Quote(k.source[s.from:s.to])
			return "text needs quotes: " + quoted, quoted
		}
	}
	return "", ""
}

func isNumberText(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "0123456789.-") == ""
}

func isTimeText(s string) bool {
	_, err := protect(func() (any, error) { return date(aside(), &operation{name: "date"}, []any{s}), nil })
	return err == nil
}

// differentHint says how two operands of different types come together.
func (k *checker) differentHint(left, right ast.Node, a, b Type) string {
	for _, pair := range []struct {
		n, other ast.Node
		t, want  Type
	}{{left, right, a, b}, {right, left, b, a}} {
		literal, written := pair.n.(*ast.StringNode)
		switch text, other := k.text(pair.n), k.text(pair.other); {
		case written && pair.want.solid() == isNumber && isTimeText(literal.Value):
			return "as a number a time is date(" + text + ").UnixMilli(), or .Unix() in seconds"
		case written && pair.t.solid() == isText && pair.want.solid() == isNumber:
		case pair.t.solid() == isList && pair.want.kinds&(isList|isObject) == 0:
			return "an element is found by: " + other + " in " + text
		case pair.t.solid() == isText && pair.want.solid() == isNumber:
			return "read it as a number: int(" + text + ") or float(" + text + ")"
		case pair.t.kinds&isText != 0 && pair.want.solid() == isTime:
			return "read it as a time: date(" + text + ")"
		case pair.t.solid() == isObject:
			if names := pair.t.fieldNames(); len(names) > 0 {
				return "its fields are " + few(names)
			}
		}
	}
	return ""
}

// otherValue reports a comparison with what is none of the values that are
// possible.
func (k *checker) otherValue(negated bool, left, right ast.Node, a, b Type) {
	hint, fix, near := "", "", ""
	message := ""
	switch {
	case a.texts != nil && len(b.texts) == 1:
		message = fmt.Sprintf("%s is never %q", k.text(left), b.texts[0])
		near = diag.Nearest(b.texts[0], a.texts)
		hint = "it is " + diag.Or(a.values())
		if k.narrowed(left) {
			hint = "what is asked before leaves " + diag.Or(quoted(a.texts))
		} else if near != "" {
			hint, fix = fmt.Sprintf("did you mean %q?", near), strconv.Quote(near)
		}
	case len(b.numbers) == 1:
		message = fmt.Sprintf("%s is never %s", k.text(left), k.text(right))
		hint = rangeText(a)
	default:
		message = fmt.Sprintf("%s and %s are never equal", k.text(left), k.text(right))
	}
	f := Finding{Code: CodeNeverEqual, Message: message, Hint: hint}
	s := k.extent(right)
	f.Offset, f.End = s.from, s.to
	if _, literal := right.(*ast.StringNode); literal && fix != "" {
		f.Fix = k.source[:s.from] + fix + k.source[s.to:]
	}
	// What is unequal to a value that may come one day is a guard; a slip of the
	// pen is not. Pipelines share conditions that ask for the topics of each.
	path, _ := k.path(left)
	if f.Warning = path == "topic" || path == "source\x00topic" ||
		near == "" && (negated || a.numbers == nil && a.texts == nil); f.Warning {
		k.warning = append(k.warning, f)
	} else {
		k.errors = append(k.errors, f)
	}
}

// narrowed tells whether a condition before has left only some values.
func (k *checker) narrowed(n ast.Node) bool {
	path, ok := k.path(n)
	return ok && slices.ContainsFunc(k.facts, func(f fact) bool { return f.path == path && f.is.texts != nil })
}

func quoted(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, strconv.Quote(shorten(t)))
	}
	return some(out)
}

// some are the first of a list, as a sentence shows them.
func some(words []string) []string {
	const most = 8
	if len(words) > most {
		return append(words[:most:most], "…")
	}
	return words
}

// values are all that a value can be, as a sentence lists them: what is not one
// of a few is named by its kind.
func (t Type) values() []string {
	var all []string
	for _, text := range t.texts {
		all = append(all, strconv.Quote(shorten(text)))
	}
	var numbers []string
	for _, n := range t.numbers {
		numbers = append(numbers, string(appendNumber(nil, n)))
	}
	slices.Sort(numbers)
	all = append(all, numbers...)
	rest := t.solid()
	if t.texts != nil {
		rest &^= isText
	}
	if t.numbers != nil {
		rest &^= isNumber
	}
	switch rest & isBool {
	case isTrue:
		all, rest = append(all, "true"), rest&^isBool
	case isFalse:
		all, rest = append(all, "false"), rest&^isBool
	}
	if rest != 0 {
		all = append(all, Type{kinds: rest}.String())
	}
	if t.nullable {
		all = append(all, "nil")
	}
	return some(all)
}

// rangeText says which numbers there are.
func rangeText(t Type) string {
	write := func(f float64) string { return string(appendNumber(nil, scalarOf(f))) }
	switch {
	case t.numbers != nil || t.solid()&^isNumber != 0:
		return "it is " + diag.Or(t.values())
	case t.low.set && t.high.set:
		return "it is from " + write(t.low.at) + " to " + write(t.high.at)
	case t.low.set:
		return "it is at least " + write(t.low.at)
	case t.high.set:
		return "it is at most " + write(t.high.at)
	default:
		return ""
	}
}

// inType is `in`: an element of a list, or a key of an object.
func (k *checker) inType(n *ast.BinaryNode) Type {
	b := k.of(n.Right)
	truth := Type{kinds: isBool}
	elements, written := n.Right.(*ast.ArrayNode)
	if b.kinds&isList != 0 && k.negatedSide(n, b.item(-1)) {
		return truth
	}
	a := k.of(n.Left)
	if written {
		k.oneOf(n, elements, a)
		return truth
	}
	text := k.text(n.Right)
	switch {
	case a.solid() == 0 || b.solid() == 0:
	case b.kinds&(isList|isObject) == 0:
		hint := ""
		if b.solid() == isText {
			hint = "a part of text is found by: " + text + " contains " + k.text(n.Left)
		}
		k.report(n.Right, CodeType, k.says(n.Right, b)+": in looks into lists and objects", hint)
		if hint != "" && a.kinds&isText != 0 {
			k.mendNode(n, text+" contains "+k.text(n.Left))
		}
	case b.solid() == isObject:
		k.key(n, a, b)
	case b.solid() == isList:
		items := b.item(-1)
		if items.solid() != 0 && a.solid()&items.solid() == 0 && a.kinds&items.kinds&isNull == 0 {
			k.report(n.Left, CodeNeverEqual, fmt.Sprintf("%s, and the elements of %s are %s: they are never equal",
				k.says(n.Left, a), text, items.plural()), "")
		}
	}
	return truth
}

// oneOf checks each element of a list that is written out. One that can never be
// meant is worth an error only where it is a slip, or the only one.
func (k *checker) oneOf(n *ast.BinaryNode, elements *ast.ArrayNode, a Type) {
	for _, e := range elements.Nodes {
		t := k.of(e)
		if len(elements.Nodes) > 0 && !k.canEqual(len(elements.Nodes) > 1, n.Left, e, a, t) {
			return
		}
	}
}

// key checks a name that is looked for in an object.
func (k *checker) key(n *ast.BinaryNode, a, b Type) {
	if !k.accepts(n.Left, a, isText, "in looks for a field's name in "+k.text(n.Right)) {
		return
	}
	name, literal := n.Left.(*ast.StringNode)
	if !literal {
		return
	}
	if _, presence := b.field(name.Value); presence == PresenceNever {
		near := diag.Nearest(name.Value, b.fieldNames())
		hint := ""
		if near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		k.report(n.Left, CodeUnknownField, fmt.Sprintf("%s never has the field %q", k.text(n.Right), name.Value), hint)
		if near != "" {
			k.mendNode(n.Left, strconv.Quote(near))
		}
	}
}
