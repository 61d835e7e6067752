package expression

import (
	"slices"
	"time"
)

// Holds tells whether a value, as Expression.Value returns it, is one of the
// type. Nothing that runs asks; the tests do, of every type that is inferred.
func (t Type) Holds(v any) bool {
	switch v := v.(type) {
	case bool:
		return t.kinds&truthType(v).kinds != 0
	case string:
		return t.kinds&isText != 0 && (t.texts == nil || slices.Contains(t.texts, v))
	case []any:
		if t.kinds&isList == 0 {
			return false
		}
		return t.lists == nil || slices.ContainsFunc(t.lists, func(l *list) bool { return l.holds(v) })
	case map[string]any:
		if t.kinds&isObject == 0 {
			return false
		}
		return t.objects == nil || slices.ContainsFunc(t.objects, func(o *object) bool { return o.holds(v) })
	case time.Time, time.Duration, nil, *time.Location:
		return t.kinds&kindsOf(kindOf(v)) != 0
	}
	s := scalarOf(v)
	if t.kinds&isNumber == 0 || !t.within(s) {
		return false
	}
	return t.numbers == nil || slices.ContainsFunc(t.numbers, func(n scalar) bool { return equalNumbers(n, s) })
}

func (l *list) holds(items []any) bool {
	for i, v := range items {
		if !l.item(i).Holds(v) || !l.item(-1).Holds(v) {
			return false
		}
	}
	return true
}

func (o *object) holds(fields map[string]any) bool {
	for name, v := range fields {
		if f, p := o.field(name); p == PresenceNever || !f.Holds(v) || !o.any().Holds(v) {
			return false
		}
	}
	for _, name := range o.names {
		if _, p := o.field(name); p == PresenceAlways {
			if _, ok := fields[name]; !ok {
				return false
			}
		}
	}
	return true
}
