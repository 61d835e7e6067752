package expression

import (
	"errors"
	"reflect"

	"github.com/expr-lang/expr/ast"
)

// term is a rewritten node and what is known of its value.
type term struct {
	// node is what the VM runs; nil for constants, which toNode makes one of.
	node     ast.Node
	kind     kind
	constant bool
	value    any
	// ref reads the value where it is just a part of the record.
	ref *ref
	// chain are the operands of a ?? b ?? c where each is a part of the record
	// or a constant, so that the first that is not null can be copied.
	chain []term
	// original is the node as parsed, text what the user wrote.
	original ast.Node
	text     string
}

// ref reads one part of the record without the VM.
type ref struct {
	// slot is a payload's path, -1 where it is something else.
	slot int
	// original tells that the path is into the original's payload.
	original bool
	// scalar and value read it; kinds that a scalar cannot hold come as value.
	scalar func(*input) scalar
	value  func(*input) any
}

func (r *ref) input(in *input) *input {
	if !r.original {
		return in
	}
	if in.original == nil {
		failf("source cannot be used here: there is no original record")
	}
	return in.original
}

// raw is the JSON text of a path, nil for null.
func (r *ref) raw(in *input) []byte { return r.input(in).slot(r.slot).raw }

// read is the value where it leaves the expression.
func (r *ref) read(in *input) any {
	v := r.value(in)
	in.weigh(v)
	return v
}

func (t term) isUnknown() bool { return t.constant && t.value == unknown{} }

// quiet gives a new node a type that is neither pointer nor interface. expr's
// compiler puts a dereference by reflection behind every other; our values
// never hold pointers.
func quiet(n ast.Node) ast.Node {
	n.SetType(reflect.TypeFor[bool]())
	return n
}

func (t term) toNode() ast.Node {
	if t.node != nil {
		return t.node
	}
	if t.value == nil {
		return quiet(&ast.NilNode{})
	}
	return quiet(&ast.ConstantNode{Value: t.value})
}

// constantTerm is the term of a value that is known now.
func (c *compilation) constantTerm(n ast.Node, v any) term {
	return term{kind: kindOf(v), constant: true, value: v, original: n, text: c.text(n)}
}

// made is the term of a rewritten node.
func (c *compilation) made(n ast.Node, k kind, node ast.Node) term {
	return term{node: quiet(node), kind: k, original: n, text: c.text(n)}
}

// wrong is the term of a node with a finding.
func (c *compilation) wrong(n ast.Node) term {
	return term{node: quiet(&ast.NilNode{}), original: n}
}

// call is a call of fn, which is one of the types of invoke that take the Input,
// or its result where all arguments are constant. It is charged for the length of
// its arguments and of what it makes; what looks deeper charges that itself.
func (c *compilation) call(n ast.Node, k kind, fn any, args ...term) term {
	switch work := fn.(type) {
	case func(*input, any) any:
		fn = func(in *input, v any) any {
			in.look(v)
			return in.make(work(in, v))
		}
	case func(*input, any, any) any:
		fn = func(in *input, v, w any) any {
			in.look(v)
			in.look(w)
			return in.make(work(in, v, w))
		}
	case func(*input, []any) any:
		fn = func(in *input, args []any) any {
			for _, v := range args {
				in.look(v)
			}
			return in.make(work(in, args))
		}
	}
	return c.flat(n, k, fn, args...)
}

// flat is call for what costs the same whatever it is given, or charges all of it
// by itself.
func (c *compilation) flat(n ast.Node, k kind, fn any, args ...term) term {
	if v, ok := c.fold(n, fn, args); ok {
		return c.constantTerm(n, v)
	}
	switch fn := fn.(type) {
	case func(*input, any) any:
		return c.fromInput(n, k, func(env, v any) any { return fn(env.(*input), v) }, args...)
	case func(*input, any, any) any:
		// The VM calls no function of three without a list of its arguments: the
		// first waits within the Input.
		held := c.fromInput(n, kindAny, func(env, v any) any { return env.(*input).hold(v) }, args[0])
		return c.made(n, k, callNode(n, func(env, w any) any {
			in := env.(*input)
			return fn(in, in.release(), w)
		}, held, args[1]))
	case func(*input, []any) any:
		return c.fromInput(n, k, func(args ...any) any { return fn(args[0].(*input), args[1:]) }, args...)
	default:
		return c.made(n, k, callNode(n, fn, args...))
	}
}

// fromInput is a call of fn with the Input, then args.
func (c *compilation) fromInput(n ast.Node, k kind, fn any, args ...term) term {
	env := term{node: quiet(&ast.IdentifierNode{Value: "$env"})}
	return c.made(n, k, callNode(n, fn, append([]term{env}, args...)...))
}

func callNode(n ast.Node, fn any, args ...term) ast.Node {
	callee := &ast.ConstantNode{Value: fn}
	callee.SetType(reflect.TypeOf(fn))
	nodes := make([]ast.Node, len(args))
	for i, a := range args {
		nodes[i] = a.toNode()
	}
	call := &ast.CallNode{Callee: callee, Arguments: nodes}
	call.SetLocation(n.Location())
	return call
}

// fold computes a call whose arguments are all constant. One that fails always
// fails, which is a finding where the branch can be reached.
func (c *compilation) fold(n ast.Node, fn any, args []term) (any, bool) {
	values := make([]any, len(args))
	for i, a := range args {
		if !a.constant {
			return nil, false
		}
		if a.isUnknown() {
			return unknown{}, true
		}
		values[i] = a.value
	}
	if c.constant == nil {
		c.constant = aside()
	}
	v, err := protect(func() (any, error) { return invoke(c.constant, fn, values) })
	if err != nil {
		if c.lenient == 0 {
			c.find(n, CodeConstantFails, err.Error(), "")
		}
		return nil, false
	}
	return v, true
}

func invoke(in *input, fn any, args []any) (any, error) {
	switch fn := fn.(type) {
	case func(any) any:
		return fn(args[0]), nil
	case func(any) bool:
		return fn(args[0]), nil
	case func(any, any) any:
		return fn(args[0], args[1]), nil
	case func(*input, any) any:
		return fn(in, args[0]), nil
	case func(*input, any, any) any:
		return fn(in, args[0], args[1]), nil
	case func(*input, []any) any:
		return fn(in, args), nil
	default:
		return nil, errors.New("it cannot be called")
	}
}
