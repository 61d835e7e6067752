package expression

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// predicateResults are what the functions that run a predicate make of the type
// of the elements and of what the predicate makes.
var predicateResults = map[string]func(item, body Type) Type{
	"all": predicateTruths, "none": predicateTruths, "any": predicateTruths, "one": predicateTruths,
	"filter": func(item, _ Type) Type { return listOfType(item) },
	"find":   foundType, "findLast": foundType, "findIndex": placeType, "findLastIndex": placeType,
	"count":   func(_, _ Type) Type { return number(0)(nil) },
	"map":     func(_, body Type) Type { return listOfType(body) },
	"sum":     func(_, _ Type) Type { return Type{kinds: isNumber} },
	"groupBy": func(item, _ Type) Type { return mapType(listOfType(item)) },
	"sortBy":  func(item, _ Type) Type { return listOfType(item) },
	"reduce":  func(_, body Type) Type { return body },
}

func predicateTruths(_, _ Type) Type { return Type{kinds: isBool} }

func foundType(item, _ Type) Type { return item.Union(Type{kinds: isNull}) }

func placeType(_, _ Type) Type {
	return number(0)(nil).Union(Type{kinds: isNull})
}

func (k *checker) builtinType(n *ast.BuiltinNode) Type {
	makes, ok := predicateResults[n.Name]
	if !ok {
		return k.functionType(n.Name, n.Arguments)
	}
	list := k.of(n.Arguments[0])
	if !k.accepts(n.Arguments[0], list, isList, n.Name+" needs a list") {
		if f := &k.errors[len(k.errors)-1]; f.Hint == "" && list.solid() == isObject {
			f.Hint = fmt.Sprintf("the fields of an object are a list: values(%s)", k.text(n.Arguments[0]))
		}
		return AnyType()
	}
	item := list.item(-1)
	if item.Nothing() {
		item = AnyType()
	}
	if len(n.Arguments) == 1 {
		return k.bareType(n, item, makes)
	}
	p, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return AnyType()
	}
	body := k.bodyType(p, item)
	k.needsBody(n, p, body)
	switch {
	case n.Name == "reduce" && len(n.Arguments) == 3:
		return body.Union(k.of(n.Arguments[2]))
	case n.Name == "reduce":
		return body.Union(item)
	case len(n.Arguments) == 3:
		k.accepts(n.Arguments[2], k.of(n.Arguments[2]), isText, `the order is "asc" or "desc"`)
	}
	return makes(item, body)
}

// bodyType is the type of a predicate for elements of a type.
func (k *checker) bodyType(p *ast.PredicateNode, item Type) Type {
	k.made++
	k.elements = append(k.elements, element{item, k.made})
	body := k.of(p.Node)
	k.elements = k.elements[:len(k.elements)-1]
	return body
}

// needsBody reports a predicate that makes what its function can never take.
func (k *checker) needsBody(n *ast.BuiltinNode, p *ast.PredicateNode, body Type) {
	switch n.Name {
	case "map", "reduce":
	case "sum":
		k.accepts(p.Node, body, isNumber, "sum needs a number")
	case "groupBy":
		k.accepts(p.Node, body, isText, "groupBy needs text")
	case "sortBy":
		k.accepts(p.Node, body, isNumber|isText|isTime|isDuration, "sortBy cannot order it")
	default:
		k.needsTruth(p.Node, body, n.Name)
	}
}

// bareType is count(list) or sum(list).
func (k *checker) bareType(n *ast.BuiltinNode, item Type, makes func(item, body Type) Type) Type {
	want := isNumber
	if n.Name == "count" {
		want = isBool
	}
	if item.solid() != 0 && item.kinds&want == 0 {
		hint := k.itemHint(n.Arguments[0], item, want)
		if n.Name == "count" {
			hint = "their number is len(" + k.text(n.Arguments[0]) + ")"
		}
		k.report(n.Arguments[0], CodeType, fmt.Sprintf("an element of %s is %s: %s needs %s", k.text(n.Arguments[0]),
			item, n.Name, Type{kinds: want}), hint)
		return AnyType()
	}
	return makes(item, item)
}

// methodResults are what the methods make; those that are not here keep the
// type that they are called on.
var methodResults = map[string]kinds{
	"Year": isNumber, "Month": isNumber, "Day": isNumber, "Hour": isNumber, "Minute": isNumber, "Second": isNumber,
	"Nanosecond": isNumber, "Weekday": isNumber, "YearDay": isNumber, "Unix": isNumber, "UnixMilli": isNumber,
	"UnixMicro": isNumber, "UnixNano": isNumber, "Before": isBool, "After": isBool, "Equal": isBool, "UTC": isTime,
	"In": isTime, "Format": isText, "Add": isTime, "Sub": isDuration, "AddDate": isTime, "String": isText,
	"Hours": isNumber, "Minutes": isNumber, "Seconds": isNumber, "Milliseconds": isNumber, "Microseconds": isNumber,
	"Nanoseconds": isNumber, "Abs": isDuration, "Truncate": isTime | isDuration, "Round": isTime | isDuration,
}

// methodTakes are the arguments of the methods that have any.
var methodTakes = map[string]kinds{
	"Before": isTime, "After": isTime, "Equal": isTime, "In": isZone, "Format": isText, "Add": isDuration,
	"Sub":     isTime,
	"AddDate": isNumber, "Truncate": isDuration, "Round": isDuration,
}

// methodType is a call of a method on a time or a duration.
func (k *checker) methodType(n *ast.CallNode, callee *ast.MemberNode, name string) Type {
	m, ok := methods[name]
	if !ok {
		return AnyType()
	}
	on := k.of(callee.Node)
	var want kinds
	if m.ofTime != nil {
		want |= isTime
	}
	if m.ofDuration != nil {
		want |= isDuration
	}
	if !k.accepts(callee.Node, on, want, fmt.Sprintf("%s needs %s", name, Type{kinds: want})) {
		return AnyType()
	}
	for _, a := range n.Arguments {
		take := methodTakes[name]
		if t := k.of(a); !k.accepts(a, t, take, fmt.Sprintf("%s needs %s", name, Type{kinds: take})) {
			return AnyType()
		}
	}
	result := methodResults[name]
	if result == isTime|isDuration {
		result &= on.kinds
	}
	return Type{kinds: result}
}
