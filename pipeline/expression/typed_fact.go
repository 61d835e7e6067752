package expression

import (
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// fact is what a condition that held says of a part of the record.
type fact struct {
	path string
	is   Type
}

// root is the part of the record, or the variable, that the fact is about.
func (f fact) root() string {
	name, _, _ := strings.Cut(f.path, "\x00")
	name, _, _ = strings.Cut(name, "\x01")
	return name
}

// Assume tells that only records for which a condition was true are seen by what
// is compiled from now on.
func (s *Scope) Assume(condition *Expression) {
	s.facts = append(s.facts[:len(s.facts):len(s.facts)], condition.implies...)
}

// path names a part of the record, a variable or an element, where a node is just
// that.
func (k *checker) path(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.ChainNode:
		return k.path(n.Node)
	case *ast.IdentifierNode:
		return n.Value, true
	case *ast.PointerNode:
		if n.Name != "" || len(k.elements) == 0 {
			return "", false
		}
		return "#" + strconv.Itoa(k.elements[len(k.elements)-1].id), true
	case *ast.MemberNode:
		base, ok := k.path(n.Node)
		if !ok {
			return "", false
		}
		switch p := n.Property.(type) {
		case *ast.StringNode:
			// Without a transform the record is its own original.
			if base == "source" && k.scope.parent == nil {
				return p.Value, true
			}
			return base + "\x00" + p.Value, true
		case *ast.IntegerNode:
			if _, big := k.big[p.Location().From]; big {
				return "", false
			}
			return base + "\x01" + strconv.Itoa(p.Value), true
		}
	}
	return "", false
}

// inherited are the facts of the original that hold for what a transform leaves:
// all of source, and those of parts that it kept.
func (s *Scope) inherited(kept func(name string) bool) []fact {
	var out []fact
	for _, f := range s.facts {
		name := f.root()
		if !slices.Contains(recordNames, name) {
			continue
		}
		out = append(out, fact{"source\x00" + f.path, f.is})
		if kept(name) {
			out = append(out, f)
		}
	}
	return out
}

// implied are the facts that follow from a condition's being true, or false.
func (k *checker) implied(n ast.Node, truth bool) []fact {
	switch n := n.(type) {
	case *ast.ChainNode:
		return k.implied(n.Node, truth)
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return k.implied(n.Node, !truth)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			if truth {
				return append(k.implied(n.Left, true), k.implied(n.Right, true)...)
			}
		case "||", "or":
			if !truth {
				return append(k.implied(n.Left, false), k.implied(n.Right, false)...)
			}
		default:
			return k.compared(n, truth)
		}
	}
	if path, ok := k.path(n); ok {
		if truth {
			return there(path, Type{kinds: isTrue})
		}
		return []fact{{path, Type{kinds: isFalse | isNull}}}
	}
	return nil
}

// there are the facts that something has a value, and so has what it is a part of:
// a field of null is null.
func there(path string, is Type) []fact {
	facts := []fact{{path, is}}
	if is.kinds&isNull != 0 {
		return facts
	}
	for i := strings.LastIndexAny(path, "\x00\x01"); i > 0; i = strings.LastIndexAny(path, "\x00\x01") {
		path = path[:i]
		facts = append(facts, fact{path, without(AnyType(), isNull)})
	}
	return facts
}

// compared are the facts that follow from a comparison.
func (k *checker) compared(n *ast.BinaryNode, truth bool) []fact {
	switch n.Operator {
	case "==", "!=":
		equal := (n.Operator == "==") == truth
		return append(k.equals(n.Left, n.Right, equal), k.equals(n.Right, n.Left, equal)...)
	case "in":
		path, ok := k.path(n.Left)
		if t, constant := k.constantType(n.Right); ok && truth && constant && t.solid() == isList {
			return there(path, t.item(-1))
		}
	case "<", "<=", ">", ">=", "contains", "startsWith", "endsWith", "matches":
		var facts []fact
		for _, side := range []ast.Node{n.Left, n.Right} {
			if path, ok := k.path(side); ok && truth {
				facts = append(facts, there(path, without(AnyType(), isNull))...)
			}
		}
		return facts
	}
	return nil
}

func (k *checker) equals(n, to ast.Node, equal bool) []fact {
	path, ok := k.path(n)
	t, constant := k.constantType(to)
	if !ok || !constant {
		return nil
	}
	if equal {
		return there(path, t)
	}
	if t.kinds == isNull {
		return there(path, without(AnyType(), isNull))
	}
	return nil
}
