package expression

import "slices"

const (
	// maxShapes is how many shapes of objects or lists a type tells apart,
	// maxValues how many texts or numbers. Beyond it less is known.
	maxShapes = 16
	maxValues = 512
)

// Union is the type of what is one or the other.
func (t Type) Union(u Type) Type {
	if t.kinds == 0 {
		return u
	}
	if u.kinds == 0 {
		return t
	}
	r := Type{kinds: t.kinds | u.kinds, nullable: t.nullable || u.nullable}
	r.texts = unite(t.kinds&isText != 0, u.kinds&isText != 0, t.texts, u.texts, maxValues)
	r.objects = unite(t.kinds&isObject != 0, u.kinds&isObject != 0, t.objects, u.objects, maxShapes)
	r.lists = unite(t.kinds&isList != 0, u.kinds&isList != 0, t.lists, u.lists, maxShapes)
	switch a, b := t.kinds&isNumber != 0, u.kinds&isNumber != 0; {
	case a && b:
		r.numbers = unite(true, true, t.numbers, u.numbers, maxValues)
		if t.numbers == nil && u.numbers == nil {
			r.low, r.high = outer(t.low, u.low, -1), outer(t.high, u.high, 1)
		}
	case a:
		r.numbers, r.low, r.high = t.numbers, t.low, t.high
	case b:
		r.numbers, r.low, r.high = u.numbers, u.low, u.high
	}
	return r
}

// unite joins what is known of two sets; nil is everything. A set counts only
// where its kind belongs to the type at all.
func unite[T comparable](hasA, hasB bool, a, b []T, most int) []T {
	switch {
	case !hasB:
		return a
	case !hasA:
		return b
	case a == nil || b == nil:
		return nil
	}
	all := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	if len(all) > most {
		return nil
	}
	return all
}

// outer is the end that is further away in the direction of sign.
func outer(a, b bound, sign float64) bound {
	if !a.set || !b.set {
		return bound{}
	}
	if a.at*sign > b.at*sign || a.at == b.at && !a.open {
		return a
	}
	return b
}

// Meet is the type of what is both.
func (t Type) Meet(u Type) Type {
	r := Type{kinds: t.kinds & u.kinds}
	r.nullable = r.kinds&isNull != 0 && (t.nullable || u.nullable)
	if r.kinds&isText != 0 {
		if r.texts = common(t.texts, u.texts); r.texts != nil && len(r.texts) == 0 {
			r.kinds, r.texts = r.kinds&^isText, nil
		}
	}
	if r.kinds&isNumber != 0 {
		r.meetNumbers(t, u)
	}
	if r.kinds&isObject != 0 {
		r.objects = product(t.objects, u.objects, meetObjects,
			func(o *object) *object { return meetObjects(o, hiddenObject()) })
	}
	if r.kinds&isList != 0 {
		r.lists = product(t.lists, u.lists, meetLists, func(l *list) *list { return l })
	}
	return r
}

func (t *Type) meetNumbers(a, b Type) {
	t.low, t.high = inner(a.low, b.low, -1), inner(a.high, b.high, 1)
	switch {
	case a.numbers == nil && b.numbers == nil:
		return
	case a.numbers == nil:
		t.numbers = b.numbers
	case b.numbers == nil:
		t.numbers = a.numbers
	default:
		t.numbers = []scalar{}
		for _, x := range a.numbers {
			if slices.ContainsFunc(b.numbers, func(y scalar) bool { return equalNumbers(x, y) }) {
				t.numbers = append(t.numbers, x)
			}
		}
	}
	kept := []scalar{}
	for _, n := range t.numbers {
		if t.within(n) {
			kept = append(kept, n)
		}
	}
	t.numbers = kept
	if len(kept) == 0 {
		t.kinds, t.numbers = t.kinds&^isNumber, nil
	}
}

// inner is the end that is nearer, against the direction of sign.
func inner(a, b bound, sign float64) bound {
	switch {
	case !a.set:
		return b
	case !b.set:
		return a
	case a.at*sign < b.at*sign || a.at == b.at && a.open:
		return a
	default:
		return b
	}
}

// common are the values of both; nil is everything.
func common[T comparable](a, b []T) []T {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	both := []T{}
	for _, v := range a {
		if slices.Contains(b, v) {
			both = append(both, v)
		}
	}
	return both
}

// product is every shape of one met with every shape of the other. Where these
// are too many, those of the first are kept, and what they do not know is open.
func product[T any](a, b []*T, meet func(x, y *T) *T, open func(*T) *T) []*T {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	var all []*T
	if len(a)*len(b) > maxShapes {
		for _, x := range a {
			all = append(all, open(x))
		}
		return all
	}
	for _, x := range a {
		for _, y := range b {
			all = append(all, meet(x, y))
		}
	}
	return all
}
