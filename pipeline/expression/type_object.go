package expression

import (
	"maps"
	"slices"
)

// Presence says whether an object has a field.
type Presence uint8

// What can be known of a field.
const (
	// PresenceNever: no object of the type has it.
	PresenceNever Presence = iota
	// PresenceUnlisted: it may be there, though the type lists other names.
	PresenceUnlisted
	// PresenceLoose: it is not listed, and others than those listed are welcome.
	PresenceLoose
	// PresenceOpen: nothing is said of the object's fields.
	PresenceOpen
	// PresenceHidden: it may be there by a rule that cannot be looked into.
	PresenceHidden
	// PresenceMaybe: it is listed, and may be missing.
	PresenceMaybe
	// PresenceOptional: it is listed and may be missing, unlike others, which the
	// type requires.
	PresenceOptional
	// PresenceAlways: it is there.
	PresenceAlways
)

// Fields say what is known of an object: which names are listed, what a field's
// type is and whether it is there, and the type that every field has. The
// functions are called when the answer is needed, and must answer the same each
// time, for any goroutine.
type Fields struct {
	Names []string
	Field func(name string) (Type, Presence)
	Any   func() Type
}

// object is one shape of an object.
type object struct {
	names []string
	field func(name string) (Type, Presence)
	any   func() Type
	// origin says where the shape comes from.
	origin origin
}

// origin is where a shape of an object comes from.
type origin uint8

const (
	originMade origin = iota // an expression
	originSchema
	originTransform
)

// list is one shape of a list: the type of item i, or for -1 of any item.
type list struct{ item func(i int) Type }

// SchemaObject is the type of an object as a topic's schema describes it.
func SchemaObject(f Fields) Type {
	return Type{kinds: isObject, objects: []*object{{names: f.Names, field: f.Field, any: f.Any, origin: originSchema}}}
}

// ListType is the type of a list: item returns the type of item i, and of all of
// them for -1.
func ListType(item func(i int) Type) Type {
	return Type{kinds: isList, lists: []*list{{item: item}}}
}

func listOfType(items Type) Type { return ListType(func(int) Type { return items }) }

// tupleType is a list of which every item is known.
func tupleType(items []Type) Type {
	return ListType(func(i int) Type {
		if i >= 0 {
			if i < len(items) {
				return items[i]
			}
			return Type{}
		}
		var all Type
		for _, t := range items {
			all = all.Union(t)
		}
		return all
	})
}

// TransformObject is the type of an object that a transform makes: it has just
// these fields.
func TransformObject(fields map[string]Type) Type {
	t := recordType(fields)
	t.objects[0].origin = originTransform
	return t
}

// TransformList is the type of a list that a transform makes.
func TransformList(items []Type) Type { return tupleType(items) }

// recordType is an object with just these fields.
func recordType(fields map[string]Type) Type {
	names := slices.Sorted(maps.Keys(fields))
	return Type{kinds: isObject, objects: []*object{{
		names: names,
		field: func(name string) (Type, Presence) {
			if t, ok := fields[name]; ok {
				return t, PresenceAlways
			}
			return Type{}, PresenceNever
		},
		any: func() Type {
			var all Type
			for _, name := range names {
				all = all.Union(fields[name])
			}
			return all
		},
	}}}
}

// mapType is an object of any names, all with values of one type.
func mapType(value Type) Type {
	return Type{kinds: isObject, objects: []*object{{
		field: func(string) (Type, Presence) { return value, PresenceOpen },
		any:   func() Type { return value },
	}}}
}

// hiddenObject may have any field without anybody knowing.
func hiddenObject() *object {
	return &object{field: func(string) (Type, Presence) { return JSONType(), PresenceHidden }, any: JSONType}
}

// HiddenFields is the type of a value of which an object may have any field by a
// rule that cannot be looked into.
func HiddenFields() Type {
	t := JSONType()
	t.objects = []*object{hiddenObject()}
	return t
}

// Closed is the type whose objects have no fields but those that are listed.
func (t Type) Closed() Type {
	var closed []*object
	for _, o := range t.objects {
		c := *o
		c.field = func(name string) (Type, Presence) {
			f, p := o.field(name)
			if p == PresenceUnlisted || p == PresenceOpen {
				return Type{}, PresenceNever
			}
			return f, p
		}
		closed = append(closed, &c)
	}
	t.objects = closed
	return t
}

func meetObjects(a, b *object) *object {
	o := &object{origin: max(a.origin, b.origin)}
	o.names = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.names, b.names))))
	o.field = func(name string) (Type, Presence) {
		x, p := a.field(name)
		y, q := b.field(name)
		switch {
		case p == PresenceNever:
			return y, meetPresence(p, q)
		case q == PresenceNever:
			return x, meetPresence(p, q)
		}
		return x.Meet(y), meetPresence(p, q)
	}
	o.any = func() Type { return a.any().Meet(b.any()) }
	return o
}

// meetPresence is what is known of a field of an object that has two shapes at
// once. A field that one of them lists is taken for known, even where the other
// strictly has no place for it.
func meetPresence(p, q Presence) Presence {
	low, high := min(p, q), max(p, q)
	switch {
	case high >= PresenceMaybe:
		return high
	case low == PresenceNever:
		return PresenceNever
	case high == PresenceHidden:
		return high
	case high == PresenceOpen:
		return low
	default:
		return high
	}
}

func meetLists(a, b *list) *list {
	return &list{item: func(i int) Type { return a.item(i).Meet(b.item(i)) }}
}

// field is the type of a field of the value, as reading it gives it: null where
// it is missing. Known is what the shapes that have least doubt say of it.
func (t Type) field(name string) (Type, Presence) {
	r := only(t, isNull)
	if t.kinds&isObject == 0 {
		return r, PresenceOpen
	}
	if t.objects == nil {
		return AnyType(), PresenceOpen
	}
	best := PresenceNever
	for _, o := range t.objects {
		f, p := o.field(name)
		best = max(best, p)
		if p != PresenceNever {
			r = r.Union(f)
		}
		if p != PresenceAlways || f.Nothing() {
			r = r.Union(Type{kinds: isNull, nullable: p == PresenceOptional})
		}
	}
	return r, best
}

// anyField is the type of any field.
func (t Type) anyField() Type {
	if t.kinds&isObject == 0 {
		return Type{}
	}
	if t.objects == nil {
		return AnyType()
	}
	var r Type
	for _, o := range t.objects {
		r = r.Union(o.any())
	}
	return r
}

// item is the type of item i, or for -1 of any, without the null of an index
// outside the list.
func (t Type) item(i int) Type {
	if t.kinds&isList == 0 {
		return Type{}
	}
	if t.lists == nil {
		return AnyType()
	}
	var r Type
	for _, l := range t.lists {
		r = r.Union(l.item(i))
	}
	return r
}

// fieldNames are all names that the shapes list.
func (t Type) fieldNames() []string {
	var names []string
	for _, o := range t.objects {
		names = append(names, o.names...)
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

func (t Type) origin() origin {
	o := originMade
	for _, shape := range t.objects {
		o = max(o, shape.origin)
	}
	return o
}

// AsJSON is the type that a value has once it was written as JSON: times and
// durations become text.
func (t Type) AsJSON() Type {
	r := t
	if t.kinds&(isTime|isDuration) != 0 {
		r.kinds = r.kinds&^(isTime|isDuration) | isText
		r.texts = nil
	}
	if t.kinds&isObject != 0 && t.objects == nil || t.kinds&isZone != 0 {
		return JSONType()
	}
	r.objects, r.lists = nil, nil
	for _, o := range t.objects {
		c := *o
		c.field = func(name string) (Type, Presence) { f, p := o.field(name); return f.AsJSON(), p }
		c.any = func() Type { return o.any().AsJSON() }
		r.objects = append(r.objects, &c)
	}
	for _, l := range t.lists {
		r.lists = append(r.lists, &list{item: func(i int) Type { return l.item(i).AsJSON() }})
	}
	if t.kinds&isList != 0 && t.lists == nil {
		return JSONType()
	}
	return r
}
