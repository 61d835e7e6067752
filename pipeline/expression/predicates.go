package expression

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// predicate says what the body of a predicate function must be.
type predicate uint8

const (
	predicateTruth predicate = iota // true or false
	predicateValue                  // anything
)

// predicateNames are the functions that run a predicate over a list.
var predicateNames = map[string]predicate{
	"all": predicateTruth, "none": predicateTruth, "any": predicateTruth, "one": predicateTruth,
	"filter": predicateTruth, "find": predicateTruth, "findIndex": predicateTruth,
	"findLast": predicateTruth, "findLastIndex": predicateTruth, "count": predicateTruth,
	"map": predicateValue, "sum": predicateValue, "groupBy": predicateValue,
	"sortBy": predicateValue, "reduce": predicateValue,
}

// over is a predicate function. The VM's own loops run all, none, any, one,
// filter, map, find, findIndex, count and reduce; sum, groupBy and sortBy are a
// loop that makes a list, and a function of ours on that list; findLast and
// findLastIndex are find on the list from its end.
func (c *compilation) over(n *ast.BuiltinNode) term {
	list := c.listOf(n)
	if len(n.Arguments) == 1 {
		return c.bare(n, list)
	}
	p, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		c.find(n, CodeArguments, n.Name+" needs a predicate", "")
		return c.wrong(n)
	}
	body := c.body(n, p)
	if c.failed() {
		return c.wrong(n)
	}
	switch n.Name {
	case "sum":
		op := &operation{name: "sum", operands: []string{body.text}}
		return c.flat(n, kindNumber, func(in *input, v any) any { return sum(in, op, v) }, c.loop(n, "map", list, body))
	case "groupBy", "sortBy":
		return c.keyed(n, list, body)
	case "reduce":
		return c.reduce(n, list, body)
	case "findLast", "findLastIndex":
		return c.last(n, list, body)
	case "count", "findIndex":
		return c.counted(n, c.loop(n, n.Name, list, body))
	}
	return c.loop(n, n.Name, list, body)
}

// listOf is the first argument, checked to be a list that is not too long.
func (c *compilation) listOf(n *ast.BuiltinNode) term {
	t := c.expr(n.Arguments[0])
	op := &operation{name: n.Name, operands: []string{t.text}}
	c.operands(op, []term{t}, kindList)
	initial := n.Name != "reduce" || len(n.Arguments) == 3
	return c.flat(n.Arguments[0], kindList, func(v any) any {
		list, ok := v.([]any)
		switch {
		case !ok:
			failf("%s is %s: %s needs a list", op.operand(0), kindOf(v), op.name)
		case len(list) > maxList:
			failf("%s has %s: %s takes at most %d", op.operand(0), diag.Count(len(list), "element"), op.name, maxList)
		case len(list) == 0 && !initial:
			failf("%s is empty: reduce needs a first value then", op.operand(0))
		}
		return list
	}, t)
}

func (c *compilation) body(n *ast.BuiltinNode, p *ast.PredicateNode) term {
	if c.predicates++; c.predicates > maxPredicates {
		c.find(n, CodeRefused, fmt.Sprintf("predicates are nested deeper than %d", maxPredicates), "")
	}
	outer, outerBackwards := c.reducing, c.backwards
	c.reducing, c.backwards = 0, strings.HasPrefix(n.Name, "findLast")
	if n.Name == "reduce" {
		c.reducing = 1
	}
	t := c.expr(p.Node)
	c.reducing, c.backwards = outer, outerBackwards
	c.predicates--
	if predicateNames[n.Name] == predicateTruth && !c.failed() {
		t = c.truth(t, n.Name)
	}
	return t
}

// last is findLast or findLastIndex. The VM's own loops from the end leave a value
// too many on its stack, which then stands in the place of another: these run
// over pairs of element and index.
func (c *compilation) last(n *ast.BuiltinNode, list, body term) term {
	pairs := c.flat(n, kindList, func(in *input, v any) any {
		list := v.([]any)
		in.made(4 * bytesOfItem * len(list))
		pairs := make([]any, len(list))
		for i, e := range list {
			pairs[len(list)-1-i] = []any{e, int64(i)}
		}
		return pairs
	}, list)
	part := 0
	if n.Name == "findLastIndex" {
		part = 1
	}
	return c.flat(n, kindAny, func(v any) any {
		if v == nil {
			return nil
		}
		return v.([]any)[part]
	}, c.loop(n, "find", pairs, body))
}

// loop is a loop of the VM. Before it runs it is charged for all of the list, as
// if no condition in the body cut anything short.
func (c *compilation) loop(n *ast.BuiltinNode, name string, list, body term) term {
	k := kindAny
	switch name {
	case "all", "none", "any", "one":
		k = kindBool
	case "filter", "map":
		k = kindList
	}
	node := body.toNode()
	return c.made(n, k, &ast.BuiltinNode{Name: name, Arguments: []ast.Node{c.charged(n, list, node,
		k == kindList).toNode(), quiet(&ast.PredicateNode{Node: node})}})
}

// charged is list, for a loop whose body is evaluated for each of its elements.
func (c *compilation) charged(n ast.Node, list term, body ast.Node, keeps bool) term {
	each := c.weigh(body)
	each.steps += stepsOfCall
	if keeps {
		each.bytes += bytesOfItem
	}
	return c.fromInput(n, kindList, func(env, v any) any {
		in, list := env.(*input), v.([]any)
		in.step(each.steps * len(list))
		in.made(each.bytes * len(list))
		return list
	}, list)
}

// bare is count(list) or sum(list).
func (c *compilation) bare(n *ast.BuiltinNode, list term) term {
	element := term{node: quiet(&ast.PointerNode{}), original: n, text: "an element of " + c.text(n.Arguments[0])}
	switch n.Name {
	case "count":
		return c.counted(n, c.loop(n, n.Name, list, c.truth(element, n.Name)))
	case "sum":
		op := &operation{name: "sum", operands: []string{element.text}}
		return c.flat(n, kindNumber, func(in *input, v any) any { return sum(in, op, v) }, list)
	}
	c.find(n, CodeArguments, n.Name+" needs a predicate", "")
	return c.wrong(n)
}

// counted turns the VM's own integers into ours.
func (c *compilation) counted(n ast.Node, t term) term {
	return c.flat(n, kindAny, func(v any) any {
		if i, ok := v.(int); ok {
			return int64(i)
		}
		return v
	}, t)
}

func (c *compilation) reduce(n *ast.BuiltinNode, list, body term) term {
	node := body.toNode()
	args := []ast.Node{c.charged(n, list, node, false).toNode(), quiet(&ast.PredicateNode{Node: node})}
	if len(n.Arguments) == 3 {
		args = append(args, c.expr(n.Arguments[2]).toNode())
	}
	return c.made(n, kindAny, &ast.BuiltinNode{Name: "reduce", Arguments: args})
}

// keyed is groupBy or sortBy on pairs of element and key.
func (c *compilation) keyed(n *ast.BuiltinNode, list, body term) term {
	pair := term{node: quiet(&ast.ArrayNode{Nodes: []ast.Node{quiet(&ast.PointerNode{}), body.toNode()}})}
	pairs := c.loop(n, "map", list, pair)
	op := &operation{name: n.Name, operands: []string{body.text}}
	if n.Name == "groupBy" {
		return c.flat(n, kindObject, func(in *input, v any) any { return group(in, op, v.([]any)) }, pairs)
	}
	direction := term{constant: true, kind: kindText, value: "asc"}
	if len(n.Arguments) == 3 {
		direction = c.expr(n.Arguments[2])
	}
	return c.call(n, kindList, func(in *input, v, direction any) any {
		return sortPairs(in, op, v.([]any), descending(op, direction))
	}, pairs, direction)
}

func group(in *input, op *operation, pairs []any) any {
	in.step(2 * stepsOfEntry * len(pairs))
	in.made(2 * bytesOfEntry * len(pairs))
	groups := map[string]any{}
	for _, p := range pairs {
		pair := p.([]any)
		key, ok := pair[1].(string)
		if !ok {
			failf("%s is %s: groupBy needs text", op.operand(0), kindOf(pair[1]))
		}
		in.step(len(key) / scannedAStep)
		list, _ := groups[key].([]any)
		groups[key] = append(list, pair[0])
	}
	return groups
}
