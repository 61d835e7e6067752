package expression

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// expr rewrites a node: operators and functions become calls of our own, whose
// semantics are those of Millrace; constants are computed; parts of the record
// become reads of it. Nodes of the parser are never changed, since it shares
// them between the halves of a < b < c.
func (c *compilation) expr(n ast.Node) term {
	before := c.revealed
	t := c.rewritten(n)
	if t.constant {
		if c.revealed > before {
			c.computed(n, t.value)
		}
		if c.constants == nil {
			c.constants = map[ast.Node]any{}
		}
		c.constants[n] = t.value
	}
	return t
}

func (c *compilation) rewritten(n ast.Node) term {
	if c.visited++; c.visited > 10*maxNodes || len(c.findings) > 0 && c.failed() {
		if !c.failed() {
			c.findAt(0, len(c.source), CodeTooLarge, "the expression is too large", "")
		}
		return c.wrong(n)
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return c.constantTerm(n, nil)
	case *ast.IntegerNode:
		return c.integer(n)
	case *ast.FloatNode:
		return c.constantTerm(n, n.Value)
	case *ast.BoolNode:
		return c.constantTerm(n, n.Value)
	case *ast.StringNode:
		c.templateText(n)
		return c.constantTerm(n, n.Value)
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ChainNode:
		return c.expr(n.Node)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.SliceNode:
		return c.slice(n)
	case *ast.CallNode:
		return c.callOf(n)
	case *ast.BuiltinNode:
		return c.builtin(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n)
	case *ast.SequenceNode:
		return c.sequence(n)
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.MapNode:
		return c.object(n)
	default:
		c.find(n, CodeRefused, "this is not supported in expressions", "")
		return c.wrong(n)
	}
}

// truth makes a term true or false for an operator or a predicate.
func (c *compilation) truth(t term, operator string) term {
	if t.kind == kindBool && !t.constant || t.isUnknown() {
		return t
	}
	switch t.kind {
	case kindAny, kindNull, kindBool:
	default:
		c.find(t.original, CodeType, fmt.Sprintf("%s is %s: %s needs true or false", t.text, t.kind, operator), "")
		return t
	}
	op := &operation{name: operator, operands: []string{t.text}}
	return c.flat(t.original, kindBool, func(v any) bool { return truth(op, v) }, t)
}

func (c *compilation) conditional(n *ast.ConditionalNode) term {
	cond := c.truth(c.expr(n.Cond), "?:")
	if cond.constant && !cond.isUnknown() {
		taken, other := n.Exp1, n.Exp2
		if cond.value != true {
			taken, other = other, taken
		}
		c.deadBranch(other)
		return c.expr(taken)
	}
	yes, no := c.expr(n.Exp1), c.expr(n.Exp2)
	if cond.isUnknown() {
		return c.constantTerm(n, unknown{})
	}
	k := yes.kind
	if no.kind != k {
		k = kindAny
	}
	return c.made(n, k, &ast.ConditionalNode{Cond: cond.toNode(), Exp1: yes.toNode(), Exp2: no.toNode()})
}

// deadBranch checks what a constant has ruled out: names must exist there too,
// but what is constant may fail.
func (c *compilation) deadBranch(n ast.Node) {
	c.lenient++
	c.expr(n)
	c.lenient--
}

func (c *compilation) let(n *ast.VariableDeclaratorNode) term {
	if n.Name == "env" || slices.Contains(recordNames, n.Name) || n.Name == "$env" ||
		slices.Contains(c.variables, n.Name) {
		c.find(n, CodeUnknownName, fmt.Sprintf("let cannot declare %s again: the name is taken", n.Name), "")
		return c.wrong(n)
	}
	before := c.revealed
	value := c.expr(n.Value)
	c.variables = append(c.variables, n.Name)
	if value.constant {
		if c.bound == nil {
			c.bound = map[string]binding{}
		}
		c.bound[n.Name] = binding{value.value, c.revealed > before}
	}
	body := c.expr(n.Expr)
	delete(c.bound, n.Name)
	c.variables = c.variables[:len(c.variables)-1]
	if body.constant {
		return body
	}
	return c.made(n, body.kind, &ast.VariableDeclaratorNode{Name: n.Name, Value: value.toNode(), Expr: body.toNode()})
}

func (c *compilation) sequence(n *ast.SequenceNode) term {
	nodes := make([]ast.Node, len(n.Nodes))
	var last term
	for i, kid := range n.Nodes {
		last = c.expr(kid)
		nodes[i] = last.toNode()
	}
	return c.made(n, last.kind, &ast.SequenceNode{Nodes: nodes})
}

func (c *compilation) array(n *ast.ArrayNode) term {
	terms := make([]term, len(n.Nodes))
	nodes := make([]ast.Node, len(n.Nodes))
	values := make([]any, len(n.Nodes))
	constant := true
	for i, kid := range n.Nodes {
		terms[i] = c.expr(kid)
		if terms[i].isUnknown() {
			return c.constantTerm(n, unknown{})
		}
		nodes[i], values[i] = terms[i].toNode(), terms[i].value
		constant = constant && terms[i].constant
	}
	if constant {
		return c.constantTerm(n, values)
	}
	return c.made(n, kindList, &ast.ArrayNode{Nodes: nodes})
}

func (c *compilation) object(n *ast.MapNode) term {
	pairs := make([]ast.Node, len(n.Pairs))
	values := map[string]any{}
	constant := true
	for i, kid := range n.Pairs {
		pair := kid.(*ast.PairNode)
		key, value := c.objectKey(pair.Key), c.expr(pair.Value)
		if key.isUnknown() || value.isUnknown() {
			return c.constantTerm(n, unknown{})
		}
		if name, ok := key.value.(string); key.constant && ok {
			if _, twice := values[name]; twice {
				c.find(pair.Key, CodeSyntax, fmt.Sprintf("the key %s is written twice", key.text), "")
				return c.wrong(n)
			}
			values[name] = value.value
		}
		constant = constant && key.constant && value.constant
		pairs[i] = quiet(&ast.PairNode{Key: key.toNode(), Value: value.toNode()})
	}
	if constant {
		return c.constantTerm(n, values)
	}
	return c.made(n, kindObject, &ast.MapNode{Pairs: pairs})
}

func (c *compilation) objectKey(n ast.Node) term {
	t := c.expr(n)
	op := &operation{name: "an object's key", operands: []string{t.text}}
	return c.flat(n, kindText, func(in *input, v any) any {
		name, ok := v.(string)
		if !ok {
			failf("%s is %s: an object's key must be text", op.operand(0), kindOf(v))
		}
		in.step(len(name) / scannedAStep)
		return v
	}, t)
}

func (c *compilation) pointer(n *ast.PointerNode) term {
	switch {
	case c.predicates == 0:
		c.find(n, CodeUnknownName, "# stands for an element only inside a predicate such as any(list, # > 3)", "")
		return c.wrong(n)
	case c.backwards && (n.Name == "" || n.Name == "index"):
		part := len(n.Name) / len("index")
		return c.flat(n, kindAny, func(v any) any { return v.([]any)[part] }, term{node: quiet(&ast.PointerNode{})})
	case n.Name == "index":
		t := term{node: quiet(&ast.PointerNode{Name: "index"})}
		return c.flat(n, kindNumber, func(v any) any { return int64(v.(int)) }, t)
	case n.Name == "acc" && c.reducing > 0, n.Name == "":
		return c.made(n, kindAny, &ast.PointerNode{Name: n.Name})
	}
	c.find(n, CodeUnknownName, fmt.Sprintf("unknown name #%s: there are #, #index and, in reduce, #acc", n.Name), "")
	return c.wrong(n)
}
