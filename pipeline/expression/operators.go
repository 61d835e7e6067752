package expression

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

func (c *compilation) unary(n *ast.UnaryNode) term {
	if literal, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
		if digits, ok := c.big[literal.Location().From]; ok {
			return c.constantTerm(n, negative(json.Number(digits)))
		}
	}
	t := c.expr(n.Node)
	op := &operation{name: n.Operator, operands: []string{t.text}}
	switch n.Operator {
	case "!", "not":
		t = c.truth(t, n.Operator)
		return c.flat(n, kindBool, func(v any) bool { return v != true }, t)
	case "-":
		c.operands(op, []term{t}, kindNumber, kindDuration)
		return c.flat(n, kindAny, func(v any) any { return negate(op, v) }, t)
	default:
		c.operands(op, []term{t}, kindNumber)
		return c.flat(n, kindNumber, func(v any) any { op.number(0, v); return v }, t)
	}
}

func (c *compilation) binary(n *ast.BinaryNode) term {
	switch n.Operator {
	case "&&", "and", "||", "or":
		return c.logic(n)
	case "??":
		return c.coalesce(n)
	case "matches":
		return c.matches(n)
	}
	a, b := c.expr(n.Left), c.expr(n.Right)
	op := &operation{name: n.Operator, operands: []string{a.text, b.text}}
	switch n.Operator {
	case "==", "!=":
		return c.equality(n, a, b)
	case "in":
		return c.in(n, a, b)
	case "<", "<=", ">", ">=":
		c.operands(op, []term{a, b}, kindNumber, kindText, kindTime, kindDuration)
		return c.ordering(n, op, a, b)
	case "contains", "startsWith", "endsWith":
		c.operands(op, []term{a, b}, kindText, kindNull)
		return c.flat(n, kindBool, func(in *input, x, y any) any { return textual(in, op, x, y) }, a, b)
	case "..":
		c.operands(op, []term{a, b}, kindNumber)
		return c.call(n, kindList, func(in *input, x, y any) any { return rangeOf(in, op, x, y) }, a, b)
	case "+":
		c.operands(op, []term{a, b}, kindNumber, kindText, kindTime, kindDuration)
		return c.flat(n, kindAny, func(in *input, x, y any) any { return plus(in, op, x, y) }, a, b)
	default:
		c.operands(op, []term{a, b}, kindNumber, kindTime, kindDuration)
		if op.name == "^" {
			op.name = "**"
		}
		return c.flat(n, kindAny, func(x, y any) any { return arithmetic(op, x, y) }, a, b)
	}
}

// operands finds operands whose kind is known and can never do.
func (c *compilation) operands(op *operation, terms []term, kinds ...kind) {
	for _, t := range terms {
		ok := t.kind == kindAny || t.isUnknown()
		for _, k := range kinds {
			ok = ok || t.kind == k
		}
		if ok || c.failed() || c.lenient > 0 {
			continue
		}
		hint := ""
		if op.name == "contains" && t.kind == kindList {
			hint = "whether a list holds something is asked by: x in list"
		}
		c.find(t.original, CodeType, fmt.Sprintf("%s is %s: %s cannot take it", t.text, t.kind, op.name), hint)
	}
}

func (c *compilation) logic(n *ast.BinaryNode) term {
	left := c.truth(c.expr(n.Left), n.Operator)
	and := n.Operator == "&&" || n.Operator == "and"
	if left.constant && !left.isUnknown() && left.value != and {
		c.deadBranch(n.Right)
		return left
	}
	right := c.truth(c.expr(n.Right), n.Operator)
	if c.failed() {
		c.hintEither(n, right)
	}
	switch {
	case left.isUnknown() || right.isUnknown():
		return c.constantTerm(n, unknown{})
	case left.constant:
		return right
	}
	return c.made(n, kindBool, &ast.BinaryNode{Operator: n.Operator, Left: left.toNode(), Right: right.toNode()})
}

// hintEither says how a == 1 || 2 is written.
func (c *compilation) hintEither(n *ast.BinaryNode, right term) {
	left, ok := n.Left.(*ast.BinaryNode)
	f := &c.findings[len(c.findings)-1]
	if !ok || left.Operator != "==" || f.Code != CodeType || !right.constant || f.Offset != c.extent(n.Right).from {
		return
	}
	a, b := c.text(left.Left), c.text(left.Right)
	f.Hint = "each side is a condition: " + a + " == " + b + " " + n.Operator + " " + a + " == " + right.text
	if n.Operator == "||" || n.Operator == "or" {
		f.Hint = "one of several is: " + a + " in [" + b + ", " + right.text + "]"
	}
}

// coalesce is a ?? b. A variable that is not set is null on its left.
func (c *compilation) coalesce(n *ast.BinaryNode) term {
	c.defaulted++
	left := c.expr(n.Left)
	c.defaulted--
	if left.isUnknown() {
		c.expr(n.Right)
		return c.constantTerm(n, unknown{})
	}
	if left.constant && left.value != nil {
		c.deadBranch(n.Right)
		return left
	}
	right := c.expr(n.Right)
	if left.constant {
		return right
	}
	k := kindAny
	if left.kind == right.kind {
		k = left.kind
	}
	t := c.made(n, k, &ast.BinaryNode{Operator: "??", Left: left.toNode(), Right: right.toNode()})
	if l, r := left.links(), right.links(); l != nil && r != nil {
		t.chain = append(append(t.chain, l...), r...)
	}
	return t
}

// links are the operands of which the first that is not null can be copied; nil
// where the term is computed.
func (t term) links() []term {
	if t.constant || t.ref != nil {
		return []term{t}
	}
	return t.chain
}

func (c *compilation) equality(n *ast.BinaryNode, a, b term) term {
	want := n.Operator == "=="
	if a.constant {
		a, b = b, a
	}
	// A part of the record against a constant is the usual filter: it is read
	// without a value being made.
	if a.ref != nil && b.constant && !b.isUnknown() {
		if k := b.kind; k == kindNull || k == kindBool || k == kindNumber || k == kindText {
			r, s := a.ref, scalarOf(b.value)
			return c.fromInput(n, kindBool, func(env any) bool {
				in := env.(*input)
				return equalScalars(in, r.scalar(in), s) == want
			})
		}
	}
	return c.flat(n, kindBool, func(in *input, x, y any) any { return equal(in, x, y) == want }, a, b)
}

func (c *compilation) ordering(n *ast.BinaryNode, op *operation, a, b term) term {
	if a.ref != nil && a.kind != kindTime && b.constant && (b.kind == kindNumber || b.kind == kindText) {
		r, s := a.ref, scalarOf(b.value)
		return c.fromInput(n, kindBool, func(env any) bool {
			in := env.(*input)
			return holds(op.name, orderScalars(in, op, r.scalar(in), s))
		})
	}
	return c.flat(n, kindBool, func(in *input, x, y any) any { return holds(op.name, order(in, op, x, y)) }, a, b)
}

func (c *compilation) in(n *ast.BinaryNode, a, b term) term {
	if b.constant && b.kind == kindText {
		c.find(n.Right, CodeType, b.text+" is text: in looks into lists and objects",
			"part of a text is found by: text contains part")
		return c.wrong(n)
	}
	if list, ok := b.value.([]any); ok && b.constant && a.ref != nil {
		if scalars, ok := scalarsOf(list); ok {
			r := a.ref
			return c.fromInput(n, kindBool, func(env any) bool {
				in := env.(*input)
				x := r.scalar(in)
				in.step(stepsOfItem * len(scalars))
				for i := range scalars {
					if equalScalars(in, x, scalars[i]) {
						return true
					}
				}
				return false
			})
		}
	}
	return c.flat(n, kindBool, func(in *input, x, y any) any { return memberOf(in, x, y) }, a, b)
}

func scalarsOf(list []any) ([]scalar, bool) {
	out := make([]scalar, len(list))
	for i, v := range list {
		out[i] = scalarOf(v)
		if k := out[i].kind; k != kindNull && k != kindBool && k != kindNumber && k != kindText {
			return nil, false
		}
	}
	return out, true
}

func (c *compilation) matches(n *ast.BinaryNode) term {
	a, b := c.expr(n.Left), c.expr(n.Right)
	if c.failed() || a.isUnknown() || b.isUnknown() {
		return c.constantTerm(n, unknown{})
	}
	pattern, ok := b.value.(string)
	if !b.constant || !ok {
		c.find(n.Right, CodeNotConstant, "the right side of matches must be constant text", "")
		return c.wrong(n)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.badPattern(n.Right, pattern, err)
		return c.wrong(n)
	}
	op := &operation{name: "matches", operands: []string{a.text}}
	c.operands(op, []term{a}, kindText, kindNull)
	size := programSize(pattern)
	return c.flat(n, kindBool, func(in *input, v any) any {
		switch v := v.(type) {
		case nil:
			return false
		case string:
			in.step(stepsOfMatch + (len(v)+1)*size*stepsOfInstructions/2)
			return re.MatchString(v)
		}
		failf("%s is %s: matches needs text", op.operand(0), kindOf(v))
		return false
	}, a)
}

// programSize is how many instructions a pattern has: each of them may be tried at
// each byte of a text, and none more than once.
func programSize(pattern string) int {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 1
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 1
	}
	return len(program.Inst)
}
