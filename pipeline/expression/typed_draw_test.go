package expression

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// shape is a type with a way to draw its values; complete asks for values in
// which nothing is missing or null.
type shape struct {
	Type
	draw func(t *rapid.T, complete bool) any
}

var drawnTexts = []string{"", "p", "q", "r", "5", "2026-01-02", "1h"}

func drawShape(t *rapid.T, depth int) shape {
	kind := rapid.IntRange(0, 11).Draw(t, "shape")
	if depth == 0 {
		kind = min(kind, 5)
	}
	switch kind {
	case 0, 1:
		return textShape(t)
	case 2, 3:
		return numberShape(t)
	case 4:
		return shape{NamedType("boolean"), func(t *rapid.T, _ bool) any { return rapid.Bool().Draw(t, "bool") }}
	case 5:
		s := drawShape(t, min(depth, 1)-1+btoi(depth == 0))
		return shape{s.Union(NamedType("null")), func(t *rapid.T, complete bool) any {
			if !complete && rapid.Bool().Draw(t, "null") {
				return nil
			}
			return s.draw(t, complete)
		}}
	case 6:
		a, b := drawShape(t, depth-1), drawShape(t, depth-1)
		return shape{a.Union(b.Type), func(t *rapid.T, complete bool) any {
			if rapid.Bool().Draw(t, "first") {
				return a.draw(t, complete)
			}
			return b.draw(t, complete)
		}}
	case 7:
		return listShape(t, depth)
	default:
		return objectShape(t, depth)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func textShape(t *rapid.T) shape {
	texts := drawnTexts
	is := NamedType("string")
	if rapid.Bool().Draw(t, "enum") {
		texts = texts[rapid.IntRange(0, 5).Draw(t, "from"):]
		is = Type{}
		for _, v := range texts {
			is = is.Union(LiteralType(v))
		}
	}
	return shape{is, func(t *rapid.T, _ bool) any { return rapid.SampledFrom(texts).Draw(t, "text") }}
}

func numberShape(t *rapid.T) shape {
	low := rapid.IntRange(-3, 3).Draw(t, "low")
	if rapid.Bool().Draw(t, "open") {
		return shape{NamedType("number"), func(t *rapid.T, _ bool) any {
			return rapid.SampledFrom([]float64{-1, 0, 1, 2.5, 1e18}).Draw(t, "number")
		}}
	}
	is := NamedType("integer").Range(&Limit{At: float64(low)}, &Limit{At: float64(low + 2)})
	return shape{is, func(t *rapid.T, _ bool) any { return rapid.IntRange(low, low+2).Draw(t, "integer") }}
}

func listShape(t *rapid.T, depth int) shape {
	items := drawShape(t, depth-1)
	return shape{listOfType(items.Type), func(t *rapid.T, complete bool) any {
		list := []any{}
		for range rapid.IntRange(2*btoi(complete), 3).Draw(t, "items") {
			list = append(list, items.draw(t, complete))
		}
		return list
	}}
}

func objectShape(t *rapid.T, depth int) shape {
	names := []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "fields")]
	fields, presence := map[string]shape{}, map[string]Presence{}
	for _, name := range names {
		fields[name] = drawShape(t, depth-1)
		presence[name] = rapid.SampledFrom([]Presence{PresenceAlways, PresenceMaybe, PresenceOptional}).Draw(t, "presence")
	}
	rest := rapid.SampledFrom([]Presence{PresenceNever, PresenceNever, PresenceUnlisted, PresenceOpen}).Draw(t, "rest")
	field := func(name string) (Type, Presence) {
		if f, ok := fields[name]; ok {
			return f.Type, presence[name]
		}
		return JSONType(), rest
	}
	return shape{SchemaObject(Fields{Names: names, Field: field, Any: JSONType}), func(t *rapid.T, complete bool) any {
		object := map[string]any{}
		for _, name := range names {
			if complete || presence[name] == PresenceAlways || rapid.Bool().Draw(t, "there") {
				object[name] = fields[name].draw(t, complete)
			}
		}
		if rest != PresenceNever && rapid.Bool().Draw(t, "more") {
			object["d"] = rapid.SampledFrom([]any{1, "p", []any{true}}).Draw(t, "other")
		}
		return object
	}}
}

// sources draws expressions. Strict ones evaluate all that is written.
type sources struct {
	strict bool
	// element tells that # may be used.
	element bool
}

func (s sources) draw(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 13).Draw(t, "kind")
	if depth == 0 {
		kind = min(kind, 4)
	}
	sub := func() string { return s.draw(t, depth-1) }
	switch kind {
	case 0, 1, 2:
		return s.path(t)
	case 3, 4:
		return rapid.SampledFrom([]string{"1", "-2", "2.5", `"p"`, `"zz"`, "true", "nil", "timestamp", `duration("1h")`, "key", "offset", `headers.x`, `["p", 1]`, `({a: 1})`}).Draw(t, "literal")
	case 5, 6, 7:
		op := rapid.SampledFrom([]string{"==", "!=", "<", ">=", "in", "not in", "+", "-", "*", "/", "contains", "startsWith", ".."}).Draw(t, "operator")
		return "(" + sub() + " " + op + " " + sub() + ")"
	case 8, 9:
		return s.call(t, sub)
	case 10:
		return rapid.SampledFrom([]string{"!", "-"}).Draw(t, "unary") + "(" + sub() + ")"
	case 11:
		return "[" + sub() + ", " + sub() + "]"
	}
	if s.element {
		return s.path(t)
	}
	if kind == 12 || s.strict {
		return s.over(t, depth)
	}
	switch rapid.IntRange(0, 3).Draw(t, "lazy") {
	case 0:
		return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
	case 1:
		return "(" + sub() + " ?? " + sub() + ")"
	case 2:
		return "(let v = " + sub() + "; [v, " + sub() + "])"
	default:
		return "(" + sub() + rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "logic") + sub() + ")"
	}
}

func (s sources) path(t *rapid.T) string {
	path := "payload"
	if s.element && rapid.Bool().Draw(t, "element") {
		path = "#"
	}
	for range rapid.IntRange(0, 2).Draw(t, "steps") {
		path += rapid.SampledFrom([]string{".a", ".b", ".c", ".d", ".aa", "[0]", "[1]", `["a"]`, "[-1]"}).Draw(t, "step")
	}
	return path
}

func (s sources) call(t *rapid.T, sub func() string) string {
	if rapid.IntRange(0, 5).Draw(t, "method") == 0 {
		name := rapid.SampledFrom(slices.Sorted(keysOf(methods))).Draw(t, "name")
		args := make([]string, methods[name].args)
		for i := range args {
			args[i] = sub()
		}
		return "(" + sub() + ")." + name + "(" + strings.Join(args, ", ") + ")"
	}
	name := rapid.SampledFrom(slices.Sorted(keysOf(builtins))).Draw(t, "function")
	b := builtins[name]
	n := b.least
	if b.most != b.least {
		n = rapid.IntRange(b.least, max(b.most, b.least+1)).Draw(t, "arguments")
	}
	args := make([]string, n)
	for i := range args {
		args[i] = sub()
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

func (s sources) over(t *rapid.T, depth int) string {
	name := rapid.SampledFrom(slices.Sorted(keysOf(predicateNames))).Draw(t, "predicate")
	list := s.path(t)
	inner := s
	inner.element = true
	call := name + "(" + list + ", " + inner.draw(t, depth-1)
	if name == "reduce" && rapid.Bool().Draw(t, "initial") {
		call += ", " + s.draw(t, 0)
	}
	return call + ")"
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
