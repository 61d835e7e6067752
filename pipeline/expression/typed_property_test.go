package expression

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr/ast"
	"pgregory.net/rapid"
)

// unchecked compiles without a look at types.
func unchecked(s *Scope, source string) *Expression {
	c := newCompilation(s, source)
	root := c.parse()
	if c.failed() {
		return nil
	}
	e, _ := c.finish(c.expr(root), typed{})
	return e
}

func evaluate(t *rapid.T, e *Expression, s *Scope, record any) (any, error) {
	t.Helper()
	value, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	in := s.NewInput()
	if err := in.Load(orderRecord(string(value))); err != nil {
		t.Fatal(err)
	}
	return e.Value(in)
}

// TestInferredTypesHoldTheValue: whatever an expression yields for a record of
// the schema that a filter let pass is a value of the type that was inferred.
func TestInferredTypesHoldTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := drawShape(t, 3)
		s := NewScope(Options{})
		s.Payload(payload.Type)
		source := sources{}.draw(t, 3)
		var filter *Expression
		if rapid.Bool().Draw(t, "filtered") {
			condition := sources{}.draw(t, 2)
			if rapid.Bool().Draw(t, "equal") {
				condition = sources{}.path(t) + rapid.SampledFrom([]string{` == "p"`, " != nil", ` in ["p", 1]`, " == 1"}).Draw(t, "to")
			}
			if filter, _ = s.Condition(condition); filter != nil {
				s.Assume(filter)
			}
		}
		c := newCompilation(s, source)
		root := c.parse()
		if c.failed() {
			t.Fatalf("%s: %+v", source, c.findings)
		}
		term := c.expr(root)
		if c.failed() {
			return
		}
		is := c.check(root).is
		c.findings = nil
		e, _ := c.finish(term, typed{})
		for range 4 {
			record := payload.draw(t, false)
			if filter != nil {
				if pass, err := evaluate(t, filter, s, record); err != nil || pass != true {
					continue
				}
			}
			if v, err := evaluate(t, e, s, record); err == nil && !is.Holds(v) {
				t.Fatalf("%s of %v is %v (%T), and its type was %v %+v", source, record, v, v, is, is)
			}
		}
	})
}

// TestNothingGoodIsCalledBad: what is called an error fails for every record in
// which nothing is null, and what can never be equal is not.
func TestNothingGoodIsCalledBad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := drawShape(t, 3)
		s := NewScope(Options{})
		s.Payload(payload.Type)
		source := sources{strict: true}.draw(t, 2)
		e := unchecked(NewScope(Options{}), source)
		if e == nil {
			return
		}
		_, found := s.Expression(source)
		if len(found) == 0 || found[0].Warning {
			return
		}
		for range 3 {
			record := payload.draw(t, true)
			if why := harmless(t, source, found[0], record); why != "" {
				t.Fatalf("%s of %v: %s\nfound %+v\npayload %v", source, record, why, found[0], payload.Type)
			}
		}
	})
}

// harmless says why a finding is wrong for a record, "" where it is right or
// where a part that is null leaves it open.
func harmless(t *rapid.T, source string, f Finding, record any) string {
	c := newCompilation(NewScope(Options{}), source)
	root := c.parse()
	if hasNull(t, c, root, "", record) {
		return ""
	}
	s := NewScope(Options{})
	v, err := evaluate(t, unchecked(s, source), s, record)
	if err != nil {
		return ""
	}
	switch f.Code {
	case CodeUnknownField:
		if strings.Contains(f.Message, "never has") {
			return neverEqual(t, c, root, f, record)
		}
		return "the field is there"
	case CodeNeverEqual:
		return neverEqual(t, c, root, f, record)
	case CodeType:
		if strings.Contains(f.Message, ": in looks ") {
			return neverEqual(t, c, root, f, record)
		}
	}
	return fmt.Sprintf("it is %v", v)
}

// hasNull tells whether a part of an expression is null; list is what the
// predicate around it runs over.
func hasNull(t *rapid.T, c *compilation, n ast.Node, list string, record any) bool {
	if p, ok := n.(*ast.PredicateNode); ok {
		return hasNull(t, c, p.Node, list, record)
	}
	text := textAt(c, n)
	if _, pair := n.(*ast.PairNode); !pair && text != "" {
		if list != "" {
			text = "map(" + list + ", " + text + ")"
		}
		s := NewScope(Options{})
		if e := unchecked(s, text); e != nil {
			v, err := evaluate(t, e, s, record)
			if items, ok := v.([]any); err == nil && (v == nil || ok && list != "" && slices.Contains(flat(items), nil)) {
				return true
			}
		}
	}
	for i, kid := range children(n) {
		inner := list
		if b, ok := n.(*ast.BuiltinNode); ok && i == 1 && predicateResults[b.Name] != nil {
			inner = textAt(c, b.Arguments[0])
		}
		if _, name := n.(*ast.MemberNode); name && i == 1 {
			continue
		}
		if hasNull(t, c, kid, inner, record) {
			return true
		}
	}
	return false
}

// flat are the elements that can be compared.
func flat(items []any) []any {
	var out []any
	for _, v := range items {
		switch v.(type) {
		case []any, map[string]any:
		default:
			out = append(out, v)
		}
	}
	return out
}

func textAt(c *compilation, n ast.Node) string {
	s := c.extent(n)
	return c.source[s.from:s.to]
}

// neverEqual evaluates the comparisons that a finding is about.
func neverEqual(t *rapid.T, c *compilation, n ast.Node, f Finding, record any) string {
	if b, ok := n.(*ast.BinaryNode); ok && slices.Contains([]string{"==", "!=", "in"}, b.Operator) {
		left, right := textAt(c, b.Left), textAt(c, b.Right)
		comparison := "(" + left + ") == (" + right + ")"
		about := []ast.Node{b.Left, b.Right}
		if b.Operator == "in" {
			comparison = "(" + left + ") in (" + right + ")"
			if list, ok := b.Right.(*ast.ArrayNode); ok {
				about = list.Nodes
				comparison = "(" + left + ") == (" + c.source[f.Offset:f.End] + ")"
			}
		}
		if slices.ContainsFunc(about, func(n ast.Node) bool { return c.extent(n) == span{f.Offset, f.End} }) {
			scope := NewScope(Options{})
			if e := unchecked(scope, comparison); e != nil {
				if v, err := evaluate(t, e, scope, record); err == nil && v == true {
					return comparison + " is true"
				}
			}
		}
	}
	for _, kid := range children(n) {
		if p, ok := kid.(*ast.PredicateNode); ok {
			kid = p.Node
		}
		if why := neverEqual(t, c, kid, f, record); why != "" {
			return why
		}
	}
	return ""
}
