package expression

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Condition compiles a filter or a when: null counts as false, anything else
// that is not a boolean is an error for the record.
func (s *Scope) Condition(source string) (*Expression, []Finding) {
	c := newCompilation(s, source)
	t, known := c.compile()
	if solid := known.is.solid(); !c.failed() && !t.isUnknown() && solid != 0 && solid&isBool == 0 {
		c.findings = nil
		c.findAt(0, len(source), CodeCondition, "a condition must be true or false, and this is "+known.is.String(),
			truthHint(shorten(strings.TrimSpace(source)), known.is))
	}
	return c.finish(t, known)
}

// Expression compiles an expression of any type.
func (s *Scope) Expression(source string) (*Expression, []Finding) {
	c := newCompilation(s, source)
	return c.finish(c.compile())
}

// Expression is a compiled expression. It is immutable.
type Expression struct{ expression }

type expression struct {
	source  string
	term    term
	program *vm.Program // nil where the term is constant or a path
	// weight is what one run of the program costs, but for its loops and for what
	// its calls charge.
	weight weight
	secret bool
	reads  []read
	// outermost is the name of the function that makes the value, if one does.
	outermost string
	// layout is how the value is made of a time, where one makes it.
	layout string
	typed
}

// Source is the text that was compiled.
func (e *Expression) Source() string { return e.source }

// Secret tells that text of a file is part of the expression, so that what it
// yields must not be shown.
func (e *Expression) Secret() bool { return e.secret }

// Constant tells that the value does not depend on the record.
func (e *Expression) Constant() bool { return e.term.constant }

// Always tells whether a condition has the same answer for every record, and
// which, whatever the environment says.
func (e *Expression) Always() (answer, always bool) {
	return e.is.kinds == isTrue, e.term.constant && (e.is.kinds == isTrue || e.is.kinds == isFalse)
}

// Type is what is known of the value before there is a record.
func (e *Expression) Type() Type { return e.is }

// compilation turns one source into what the VM runs.
type compilation struct {
	scope    *Scope
	source   string
	findings []Finding
	// big are integer literals beyond 64 bits, by where they stand in runes.
	big map[int]string
	// variables are the names that let has declared here.
	variables []string
	// bound are those of them that are constants.
	bound map[string]binding
	// predicates is how many predicates surround the node at hand.
	predicates int
	// lenient is above 0 in branches that a constant has ruled out: constants
	// may fail there.
	lenient int
	secret  bool
	// revealed counts the secrets that were read: where it grew below a node, the
	// node's value may be made of one.
	revealed int
	// defaulted is above 0 on the left of ??, where a variable may be unset.
	defaulted int
	// reducing is above 0 in a predicate of reduce, which has #acc.
	reducing int
	// backwards tells that the predicate at hand runs over pairs of element and
	// index.
	backwards bool
	// visited counts rewritten nodes: a < (b < c) < d shares some of them.
	visited int
	spans   map[ast.Node]span
	// brackets is where the source has some, those in text aside.
	brackets []int
	// constant is what constants are computed with.
	constant *input
	// constants are the values of the nodes that have one.
	constants map[ast.Node]any
	// reads are the parts of the record that the expression uses.
	reads []read
	// replaces tells that text is what replaceAll puts in.
	replaces bool
	// outermost and layout are those of the expression.
	outermost string
	layout    string
}

// binding is the value of a variable that is a constant, and whether it is made of
// a secret.
type binding struct {
	value  any
	secret bool
}

func newCompilation(s *Scope, source string) *compilation {
	return &compilation{scope: s, source: source}
}

func (c *compilation) failed() bool {
	for _, f := range c.findings {
		if !f.Warning {
			return true
		}
	}
	return false
}

// compile parses and rewrites the source, then checks the types of the tree as
// the user wrote it, which the rewriting leaves as it is. The check only adds
// findings: the program that runs is the same with it or without.
func (c *compilation) compile() (term, typed) {
	root := c.parse()
	if c.failed() {
		return term{}, typed{}
	}
	c.outermost, c.layout = functionOf(root), layoutOf(root)
	t := c.expr(root)
	if c.failed() {
		return t, typed{}
	}
	return t, c.check(root)
}

// functionOf is the name of the function that a node calls, empty for none.
func functionOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ChainNode:
		return functionOf(n.Node)
	case *ast.BuiltinNode:
		return n.Name
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return callee.Value
		}
	}
	return ""
}

// layoutOf is the constant layout that a node writes a time by, empty for none.
func layoutOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ChainNode:
		return layoutOf(n.Node)
	case *ast.CallNode:
		method, ok := n.Callee.(*ast.MemberNode)
		if !ok || len(n.Arguments) != 1 {
			return ""
		}
		layout, ok := n.Arguments[0].(*ast.StringNode)
		if name, named := method.Property.(*ast.StringNode); ok && named && name.Value == "Format" {
			return layout.Value
		}
	}
	return ""
}

// typed is what is known of an expression's value, and what follows for the
// record where it is true.
type typed struct {
	is      Type
	implies []fact
}

// finish makes the program.
func (c *compilation) finish(t term, known typed) (*Expression, []Finding) {
	if c.failed() {
		// One problem an expression: the rest may only follow from it.
		return nil, c.findings[:1]
	}
	e := &Expression{expression{
		source: c.source, term: t, secret: c.secret, reads: c.reads, outermost: c.outermost, layout: c.layout,
		typed: known,
	}}
	if !t.constant && t.ref == nil {
		root := t.toNode()
		program, err := link(root, c.source, c.scope.language())
		if err != nil {
			c.findAt(0, len(c.source), CodeSyntax, "the expression cannot be compiled", "")
			return nil, c.findings
		}
		e.program, e.weight = program, c.weigh(root)
	}
	return e, c.findings
}

// link has the VM's program made of a tree that is rewritten: it holds nothing
// but calls of our own functions, jumps and loops, so that expr's own checker
// and optimizer have nothing to do.
func link(root ast.Node, source string, config *conf.Config) (*vm.Program, error) {
	return compiler.Compile(&parser.Tree{Node: root, Source: file.NewSource(source)}, config)
}

// readable is an error of the VM as a user may see it.
func readable(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return errors.New("the expression could not be evaluated")
}
