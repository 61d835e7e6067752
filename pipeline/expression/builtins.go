package expression

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// builtin is a function of expr, with the semantics of Millrace.
type builtin struct {
	least, most int // arguments; most -1 for any number
	kind        kind
	// fn is nil where it is made of constant arguments, see prepared.
	fn func(in *input, op *operation, args []any) any
}

// builtins are all functions but the predicate ones.
var builtins = merge(textFunctions, digestFunctions, listFunctions, numberFunctions, timeFunctions)

func merge(tables ...map[string]builtin) map[string]builtin {
	all := map[string]builtin{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

// builtin is a call of one of expr's own functions.
func (c *compilation) builtin(n *ast.BuiltinNode) term {
	if _, ok := predicateNames[n.Name]; ok {
		return c.over(n)
	}
	return c.function(n, n.Name, n.Arguments)
}

func (c *compilation) function(n ast.Node, name string, arguments []ast.Node) term {
	switch name {
	case "now":
		c.refuseImpure(c.span(n).from, name)
		return c.wrong(n)
	case "repeat":
		c.find(n, CodeRefused, "repeat cannot be used: what it makes has no bound", "")
		return c.wrong(n)
	}
	b, ok := builtins[name]
	if !ok {
		c.unknownFunction(n, name)
		return c.wrong(n)
	}
	if len(arguments) < b.least || b.most >= 0 && len(arguments) > b.most {
		c.find(n, CodeArguments, fmt.Sprintf("%s takes %s, not %d", name, b.takes(), len(arguments)), "")
		return c.wrong(n)
	}
	args := make([]term, len(arguments))
	op := &operation{name: name}
	for i, a := range arguments {
		c.replaces = name == "replaceAll" && i == 2
		args[i] = c.expr(a)
		op.operands = append(op.operands, args[i].text)
	}
	if c.failed() {
		return c.wrong(n)
	}
	switch open := slices.ContainsFunc(args, term.isUnknown); {
	case open && b.fn == nil:
		return c.constantTerm(n, unknown{})
	case !open:
		if b, ok = c.prepared(n, op, b, args); !ok {
			return c.wrong(n)
		}
	}
	if name == "timezone" || name == "date" && len(args) > 2 && args[0].kind != kindZone {
		last := args[len(args)-1]
		if !last.constant {
			c.find(last.original, CodeImpure, "the name of a time zone must be constant", "")
			return c.wrong(n)
		}
		if name, ok := last.value.(string); ok && len(args) > 1 {
			// A zone is looked up once, not for each record.
			if z, err := protect(func() (*time.Location, error) { return zone(op, name), nil }); err == nil {
				args[len(args)-1] = c.constantTerm(last.original, z)
			}
		}
	}
	fn := callable(op, b, len(args))
	if slices.Contains(flatFunctions, name) {
		return c.flat(n, b.kind, fn, args...)
	}
	return c.call(n, b.kind, fn, args...)
}

// flatFunctions do not look at all that they are given, and make nothing.
var flatFunctions = []string{"first", "last", "get", "take", "len", "type", "hasPrefix", "hasSuffix", "replaceAll"}

// prepared is b with what it makes of its constant arguments once, not for each
// record: a mistake in one is a finding, whatever the others are.
func (c *compilation) prepared(n ast.Node, op *operation, b builtin, args []term) (builtin, bool) {
	switch op.name {
	case "format":
		return c.formatting(n, op, args)
	case "replaceAll":
		return c.replacing(op, args)
	case "uuid5":
		c.constantArgument(args[0], func(v any) { namespace(op, v) })
	case "bucket":
		c.constantArgument(args[1], func(v any) { buckets(op, v) })
	}
	return b, !c.failed()
}

func (c *compilation) constantArgument(arg term, check func(v any)) {
	if !arg.constant || c.lenient > 0 {
		return
	}
	if _, err := protect(func() (any, error) { check(arg.value); return nil, nil }); err != nil {
		c.find(arg.original, CodeConstantFails, err.Error(), "")
	}
}

// callable is b as one of the types that can be called.
func callable(op *operation, b builtin, args int) any {
	switch args {
	case 1:
		return func(in *input, v any) any { return b.fn(in, op, []any{v}) }
	case 2:
		return func(in *input, v, w any) any { return b.fn(in, op, []any{v, w}) }
	default:
		return func(in *input, args []any) any { return b.fn(in, op, args) }
	}
}

func (b builtin) takes() string {
	switch {
	case b.most < 0:
		return fmt.Sprintf("at least %s", diag.Count(b.least, "argument"))
	case b.least == b.most:
		return diag.Count(b.least, "argument")
	default:
		return fmt.Sprintf("%d to %d arguments", b.least, b.most)
	}
}

// callOf is name(...) where expr has no such function, or a.method(...).
func (c *compilation) callOf(n *ast.CallNode) term {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if callee.Value == "file" {
			return c.file(n)
		}
		return c.function(n, callee.Value, n.Arguments)
	case *ast.MemberNode:
		if name, ok := callee.Property.(*ast.StringNode); ok {
			return c.method(n, callee.Node, name.Value)
		}
	case *ast.ChainNode:
		if m, ok := callee.Node.(*ast.MemberNode); ok {
			if name, ok := m.Property.(*ast.StringNode); ok {
				return c.method(n, m.Node, name.Value)
			}
		}
	}
	c.find(n, CodeUnknownFunction, "this cannot be called", "")
	return c.wrong(n)
}
