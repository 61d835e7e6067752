package expression

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (k *checker) unaryType(n *ast.UnaryNode) Type {
	t := k.of(n.Node)
	switch n.Operator {
	case "!", "not":
		k.needsTruth(n.Node, t, n.Operator)
		return Type{kinds: isBool}
	case "-":
		if !k.accepts(n.Node, t, isNumber|isDuration, "cannot calculate with -") {
			return AnyType()
		}
		return Type{kinds: t.kinds & (isNumber | isDuration)}
	default:
		k.accepts(n.Node, t, isNumber, n.Operator+" needs a number")
		return Type{kinds: isNumber}
	}
}

func (k *checker) binaryType(n *ast.BinaryNode) Type {
	switch n.Operator {
	case "&&", "and", "||", "or":
		return k.logicType(n)
	case "??":
		left := without(k.of(n.Left), isNull)
		return left.Union(k.of(n.Right))
	case "|":
		return AnyType()
	}
	if n.Operator == "in" {
		return k.inType(n)
	}
	b := k.of(n.Right)
	if (n.Operator == "==" || n.Operator == "!=") && k.negatedSide(n, b) {
		return Type{kinds: isBool}
	}
	a := k.of(n.Left)
	switch n.Operator {
	case "==", "!=":
		k.equality(n, a, b)
	case "<", "<=", ">", ">=":
		k.ordering(n, a, b)
	case "contains", "startsWith", "endsWith", "matches":
		k.textual(n, a, b)
	case "..":
		k.accepts(n.Left, a, isNumber, ".. needs whole numbers")
		k.accepts(n.Right, b, isNumber, ".. needs whole numbers")
		return listOfType(Type{kinds: isNumber})
	default:
		return k.arithmetic(n, a, b)
	}
	return Type{kinds: isBool}
}

// logicType is && or ||: the right side is reached only where the left is true,
// or false.
func (k *checker) logicType(n *ast.BinaryNode) Type {
	k.needsTruth(n.Left, k.of(n.Left), n.Operator)
	and := n.Operator == "&&" || n.Operator == "and"
	if v, constant := k.constants[n.Left]; constant && v == !and {
		return Type{kinds: isBool}
	}
	before := len(k.facts)
	k.facts = append(k.facts[:before:before], k.implied(n.Left, and)...)
	right := k.of(n.Right)
	k.facts = k.facts[:before]
	k.needsTruth(n.Right, right, n.Operator)
	return Type{kinds: isBool}
}

// textual is contains, startsWith, endsWith and matches.
func (k *checker) textual(n *ast.BinaryNode, a, b Type) {
	if a.solid() != 0 && a.kinds&isText == 0 && a.kinds&isList != 0 && n.Operator == "contains" {
		part, list := k.text(n.Right), k.text(n.Left)
		k.report(n.Left, CodeType, k.says(n.Left, a)+": contains looks into text",
			"an element is found by: "+part+" in "+list)
		k.mendNode(n, part+" in "+list)
		return
	}
	if k.accepts(n.Left, a, isText, n.Operator+" needs text") {
		k.accepts(n.Right, b, isText, n.Operator+" needs text")
	}
}

// negatedSide reports !a == b and not a in b, in which only a is negated.
func (k *checker) negatedSide(n *ast.BinaryNode, b Type) bool {
	not, ok := n.Left.(*ast.UnaryNode)
	if !ok || not.Operator != "!" && not.Operator != "not" || b.solid() == 0 || b.kinds&isBool != 0 {
		return false
	}
	k.of(not.Node)
	operator := map[string]string{"==": "!=", "!=": "==", "in": "not in"}[n.Operator]
	whole := k.text(not.Node) + " " + operator + " " + k.text(n.Right)
	k.report(not, CodeNeverEqual,
		k.text(not)+" is a boolean, which is compared here: "+not.Operator+" belongs to "+k.text(not.Node)+" alone",
		"write "+whole)
	s, end := k.extent(not), k.extent(n.Right)
	k.mend(s.from, end.to, k.textIn(not.Node)+" "+operator+" "+k.textIn(n.Right))
	return true
}

// sums are the operands that an operator of calculation takes and what it makes.
// Those of text are for + alone.
var sums = []struct {
	operators string
	a, b, is  kinds
}{
	{"+ - * / % ** ^", isNumber, isNumber, isNumber},
	{"+", isText, isText, isText},
	{"+ -", isTime, isDuration, isTime},
	{"-", isTime, isTime, isDuration},
	{"+", isDuration, isTime, isTime},
	{"+ -", isDuration, isDuration, isDuration},
	{"/", isDuration, isDuration, isNumber},
	{"* /", isDuration, isNumber, isDuration},
	{"*", isNumber, isDuration, isDuration},
}

func (k *checker) arithmetic(n *ast.BinaryNode, a, b Type) Type {
	var r Type
	var left kinds
	for _, s := range sums {
		if !strings.Contains(" "+s.operators+" ", " "+n.Operator+" ") {
			continue
		}
		left |= s.a
		if a.kinds&s.a != 0 && b.kinds&s.b != 0 {
			r.kinds |= s.is
		}
	}
	switch {
	case a.solid() == 0 || b.solid() == 0:
		return AnyType()
	case r.kinds == isNumber && (n.Operator == "/" || n.Operator == "%") && b.solid() == isNumber && isZero(b):
		k.report(n.Right, CodeConstantFails, "division by zero", "")
		return AnyType()
	case r.kinds != 0:
		return r
	case a.kinds&left == 0:
		k.report(n.Left, CodeType, fmt.Sprintf("%s: cannot calculate with %s", k.says(n.Left, a), n.Operator),
			k.conversion(n.Left, a, b.kinds&left))
	default:
		k.report(n.Right, CodeType, fmt.Sprintf("%s and %s: cannot calculate with %s", k.says(n.Left, a),
			k.says(n.Right, b), n.Operator), k.sumHint(n, a, b))
	}
	return AnyType()
}

// isZero tells that the only number is zero.
func isZero(t Type) bool {
	return len(t.numbers) == 1 && t.numbers[0].form != formBig && t.numbers[0].float() == 0
}

// sumHint says how two operands of different types come together.
func (k *checker) sumHint(n *ast.BinaryNode, a, b Type) string {
	switch {
	case n.Operator == "+" && a.solid() == isText:
		return k.conversion(n.Right, b, isText)
	case n.Operator == "+" && b.solid() == isText && a.solid()&^(isNumber|isBool) == 0:
		return k.conversion(n.Left, a, isText)
	case a.solid() == isTime && b.solid() == isNumber:
		return `a span of time is duration("1h")`
	default:
		return k.conversion(n.Right, b, a.kinds)
	}
}

// ordering is < <= > >=.
func (k *checker) ordering(n *ast.BinaryNode, a, b Type) {
	const ordered = isNumber | isText | isTime | isDuration
	if a.solid() == 0 || b.solid() == 0 {
		return
	}
	if a.kinds&b.kinds&ordered != 0 {
		k.outOfRange(n, a, b)
		return
	}
	for i, t := range []Type{a, b} {
		side := []ast.Node{n.Left, n.Right}[i]
		if t.kinds&ordered == 0 {
			hint := ""
			if t.solid()&^(isList|isObject) == 0 && t.kinds&isList != 0 {
				hint = "its length is len(" + k.text(side) + ")"
			}
			k.report(side, CodeType, k.says(side, t)+": cannot compare with "+n.Operator, hint)
			return
		}
	}
	k.different(CodeType, n.Left, n.Right, a, b, "cannot compare with "+n.Operator)
}

// outOfRange warns of a comparison that no number of a range can fulfil.
func (k *checker) outOfRange(n *ast.BinaryNode, a, b Type) {
	side, range_, limit, operator := n.Left, a, b, n.Operator
	if len(b.numbers) == 0 {
		side, range_, limit = n.Right, b, a
		operator = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
	}
	if limit.solid() != isNumber || len(limit.numbers) != 1 || range_.solid() != isNumber || range_.numbers != nil {
		return
	}
	at, never, end := limit.numbers[0].float(), false, ""
	switch low, high := range_.low, range_.high; operator {
	case "<", "<=":
		never = low.set && (at < low.at || at == low.at && (low.open || operator == "<"))
		end = "least " + string(appendNumber(nil, scalarOf(low.at)))
	case ">", ">=":
		never = high.set && (at > high.at || at == high.at && (high.open || operator == ">"))
		end = "most " + string(appendNumber(nil, scalarOf(high.at)))
	}
	if never && limit.numbers[0].form != formBig {
		k.suspect(n, CodeNeverTrue, fmt.Sprintf("this is never true: %s is at %s", k.text(side), end), "")
	}
}
