package expression

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

// Type is what is known of a value before there is a record: the set of all
// values that it can be. The zero Type has none. A Type is immutable and may be
// used by several goroutines. It finds mistakes early and changes nothing of what
// runs.
type Type struct {
	kinds kinds
	// texts and numbers are the only ones where they are not nil; other numbers
	// lie between low and high.
	texts     []string
	numbers   []scalar
	low, high bound
	// objects and lists are the shapes of which it has one; nil for any.
	objects []*object
	lists   []*list
	// nullable tells that a schema says that the value may be missing or null.
	// What is null for another reason, an index outside a list, is not.
	nullable bool
}

// kinds is a set of kinds, in which true and false are two.
type kinds uint16

const (
	isNull kinds = 1 << iota
	isTrue
	isFalse
	isNumber
	isText
	isList
	isObject
	isTime
	isDuration
	isZone

	isBool = isTrue | isFalse
	isJSON = isNull | isBool | isNumber | isText | isList | isObject
	isAny  = isJSON | isTime | isDuration | isZone
)

// bound is an end of a range of numbers.
type bound struct {
	set bool
	// open tells that the end itself does not belong to the range.
	open bool
	at   float64
}

// AnyType is the type of what nothing is known of.
func AnyType() Type { return Type{kinds: isAny} }

// JSONType is the type of what JSON can hold.
func JSONType() Type {
	return Type{kinds: isJSON, objects: []*object{{field: openField, any: JSONType}},
		lists: []*list{{item: func(int) Type { return JSONType() }}}}
}

func openField(string) (Type, Presence) { return JSONType(), PresenceOpen }

// NamedType is the type that JSON Schema knows by a name: null, boolean, number,
// integer, string, array or object.
func NamedType(name string) Type {
	named := map[string]kinds{"null": isNull, "boolean": isBool, "number": isNumber, "integer": isNumber,
		"string": isText, "array": isList, "object": isObject}
	t := only(JSONType(), named[name])
	t.nullable = name == "null"
	return t
}

// LiteralType is the type of one value as Expression.Value returns it, or as
// JSON is decoded with numbers as their text.
func LiteralType(v any) Type {
	switch v := v.(type) {
	case nil:
		return Type{kinds: isNull}
	case bool:
		return truthType(v)
	case json.Number:
		return Type{kinds: isNumber, numbers: []scalar{decodeNumber([]byte(v))}}
	case string:
		return Type{kinds: isText, texts: []string{v}}
	case []any:
		items := make([]Type, len(v))
		for i := range v {
			items[i] = LiteralType(v[i])
		}
		return tupleType(items)
	case map[string]any:
		fields := map[string]Type{}
		for name, field := range v {
			fields[name] = LiteralType(field)
		}
		return recordType(fields)
	case unknown:
		return AnyType()
	}
	if s := scalarOf(v); s.kind == kindNumber {
		return Type{kinds: isNumber, numbers: []scalar{s}}
	}
	return Type{kinds: kindsOf(kindOf(v))}
}

func truthType(v bool) Type {
	if v {
		return Type{kinds: isTrue}
	}
	return Type{kinds: isFalse}
}

// kindsOf is the set of what a kind can be.
func kindsOf(k kind) kinds {
	switch k {
	case kindNull:
		return isNull
	case kindBool:
		return isBool
	case kindNumber:
		return isNumber
	case kindText:
		return isText
	case kindList:
		return isList
	case kindObject:
		return isObject
	case kindTime:
		return isTime
	case kindDuration:
		return isDuration
	case kindZone:
		return isZone
	default:
		return isAny
	}
}

// Range is the type without numbers below low or above high; nil is no limit.
func (t Type) Range(low, high *Limit) Type {
	if low != nil && (!t.low.set || low.At > t.low.at) {
		t.low = bound{true, low.Open, low.At}
	}
	if high != nil && (!t.high.set || high.At < t.high.at) {
		t.high = bound{true, high.Open, high.At}
	}
	return t
}

// Limit is an end of a range; Open tells that the end itself is outside.
type Limit struct {
	At   float64
	Open bool
}

// Nothing tells that there is no value of this type.
func (t Type) Nothing() bool { return t.kinds == 0 }

// Plain is the type without what a schema says of null: it may be there, and
// nothing follows.
func (t Type) Plain() Type {
	t.nullable = false
	return t
}

// only is the type without the values of other kinds.
func only(t Type, k kinds) Type {
	t.kinds &= k
	t.nullable = t.nullable && t.kinds&isNull != 0
	return t
}

func without(t Type, k kinds) Type { return only(t, ^k) }

// solid is what the value can be when it is not null.
func (t Type) solid() kinds { return t.kinds &^ isNull }

// in tells whether a number lies within the ends of a range.
func (t Type) within(s scalar) bool {
	if s.form == formBig {
		return true
	}
	f := s.float()
	if t.low.set && (f < t.low.at || f == t.low.at && t.low.open) {
		return false
	}
	return !t.high.set || f < t.high.at || f == t.high.at && !t.high.open
}

// String says what a value is, as it reads after "is".
func (t Type) String() string {
	k := t.solid()
	switch {
	case k == 0 && t.kinds == isNull:
		return "null"
	case k == isAny&^isNull || k == 0:
		return "a value"
	case k == isJSON&^isNull:
		return "a value of JSON"
	}
	var words []string
	for _, one := range []struct {
		kinds kinds
		text  kind
	}{{isText, kindText}, {isNumber, kindNumber}, {isBool, kindBool}, {isList, kindList}, {isObject, kindObject},
		{isTime, kindTime}, {isDuration, kindDuration}, {isZone, kindZone}} {
		if k&one.kinds != 0 {
			words = append(words, one.text.String())
		}
	}
	return diag.Or(words)
}

// plural says what several values are.
func (t Type) plural() string {
	return strings.NewReplacer("a number", "numbers", "a boolean", "booleans", "a list", "lists", "an object",
		"objects",
		"a time zone", "time zones", "a time", "times", "a duration", "durations", "a value",
		"values").Replace(t.String())
}

// few are some of a list of names, as a sentence shows them.
func few(names []string) string {
	const most = 8
	names = slices.Clone(names)
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
