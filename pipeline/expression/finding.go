package expression

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// Finding is something wrong inside one expression or template.
type Finding struct {
	// Offset and End are bytes within the source text.
	Offset, End int
	Warning     bool
	// Code is the stable name of the problem, such as MR020.
	Code string
	// Message says what is wrong, Hint how to mend it where that is known.
	Message, Hint string
	// Fix is the text to put in the place of the whole source, empty where
	// unknown.
	Fix string
}

// find adds a finding at a node.
func (c *compilation) find(n ast.Node, code, message, hint string) {
	s := c.extent(n)
	c.findAt(s.from, s.to, code, message, hint)
}

func (c *compilation) findAt(from, to int, code, message, hint string) {
	c.findings = append(c.findings, Finding{Offset: from, End: to, Code: code, Message: message, Hint: hint})
}

// fix replaces the bytes from..to of the source in the last finding's Fix.
func (c *compilation) fix(from, to int, with string) {
	c.findings[len(c.findings)-1].Fix = c.source[:from] + with + c.source[to:]
}

// span is a range of bytes within the source.
type span struct{ from, to int }

// span is where the tokens of a node and of all below it stand. The parser
// shares nodes between the halves of a < b < c, so that it is kept by node.
func (c *compilation) span(n ast.Node) span {
	if s, ok := c.spans[n]; ok {
		return s
	}
	s := span{c.byteAt(n.Location().From), c.byteAt(n.Location().To)}
	if s.to == 0 {
		s = span{len(c.source), 0}
	}
	for _, kid := range children(n) {
		k := c.span(kid)
		s = span{min(s.from, k.from), max(s.to, k.to)}
	}
	if c.spans == nil {
		c.spans = map[ast.Node]span{}
	}
	c.spans[n] = s
	return s
}

// byteAt turns a position in runes, which expr counts in, into bytes.
func (c *compilation) byteAt(runes int) int {
	at := 0
	for ; runes > 0 && at < len(c.source); runes-- {
		_, size := utf8.DecodeRuneInString(c.source[at:])
		at += size
	}
	return at
}

func children(n ast.Node) []ast.Node {
	var kids []ast.Node
	switch n := n.(type) {
	case *ast.UnaryNode:
		kids = []ast.Node{n.Node}
	case *ast.BinaryNode:
		kids = []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		kids = []ast.Node{n.Node}
	case *ast.MemberNode:
		kids = []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		kids = []ast.Node{n.Node, n.From, n.To}
	case *ast.CallNode:
		kids = append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		kids = n.Arguments
	case *ast.PredicateNode:
		kids = []ast.Node{n.Node}
	case *ast.ConditionalNode:
		kids = []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		kids = []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		kids = n.Nodes
	case *ast.ArrayNode:
		kids = n.Nodes
	case *ast.MapNode:
		kids = n.Pairs
	case *ast.PairNode:
		kids = []ast.Node{n.Key, n.Value}
	}
	out := make([]ast.Node, 0, len(kids))
	for _, k := range kids {
		if k != nil {
			out = append(out, k)
		}
	}
	return out
}

// extent is a node's span with the brackets that its tokens leave out.
func (c *compilation) extent(n ast.Node) span {
	s := c.span(n)
	if s.from > s.to {
		return span{0, len(c.source)}
	}
	if c.brackets == nil {
		c.brackets = bracketsIn(c.source)
	}
	brackets, open, missing := c.brackets, 0, 0
	for _, at := range brackets {
		switch {
		case at < s.from || at >= s.to:
		case opens(c.source[at]):
			open++
		case open > 0:
			open--
		default:
			missing++
		}
	}
	for _, at := range brackets {
		if open > 0 && at >= s.to && !opens(c.source[at]) {
			open--
			s.to = at + 1
		}
	}
	for _, at := range slices.Backward(brackets) {
		if missing > 0 && at < s.from && opens(c.source[at]) {
			missing--
			s.from = at
		}
	}
	return s
}

func opens(bracket byte) bool { return strings.IndexByte("([{", bracket) >= 0 }

// bracketsIn is where in a source brackets are, those in text aside.
func bracketsIn(source string) []int {
	at := []int{}
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case strings.IndexByte("\"'`", c) >= 0:
			i = stringEndQuoted(source, i)
		case strings.IndexByte("([{)]}", c) >= 0:
			at = append(at, i)
		}
	}
	return at
}

// text is a node as the user wrote it, for messages of the running program.
func (c *compilation) text(n ast.Node) string {
	s := c.extent(n)
	return shorten(strings.Join(strings.Fields(c.source[s.from:s.to]), " "))
}

func shorten(s string) string { return diag.Clip(s, 60) }
