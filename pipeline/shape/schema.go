package shape

import (
	"math"
	"math/big"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/pipeline/expression"
)

// TypeOf is the set of values that a JSON Schema allows, or more: what is
// not understood is left open, so that nothing valid is outside of it. What
// stands below properties and items is looked at only when it is asked for,
// since schemas may refer to themselves.
func TypeOf(s *jsonschema.Schema) expression.Type {
	return (&schemaReader{active: map[*jsonschema.Schema]bool{}}).read(s)
}

// schemaReader reads one level of a schema: all that applies to one value.
type schemaReader struct {
	// active are the schemas that are being read: one that leads back to itself
	// says nothing more.
	active map[*jsonschema.Schema]bool
	// visits counts schemas, since references may multiply.
	visits int
}

// maxVisits is how many schemas are looked at for one value.
const maxVisits = 500

func (r *schemaReader) read(s *jsonschema.Schema) expression.Type {
	if s == nil {
		return expression.JSONType()
	}
	if r.visits++; r.visits > maxVisits || r.active[s] {
		return expression.HiddenFields()
	}
	r.active[s] = true
	defer delete(r.active, s)
	if s.Bool != nil {
		if *s.Bool {
			return expression.JSONType()
		}
		return expression.Type{}
	}
	t := typesOf(s).Meet(values(s)).Range(limit(s.Minimum, s.ExclusiveMinimum, -1),
		limit(s.Maximum, s.ExclusiveMaximum, 1))
	t = t.Meet(objectOf(s).Union(listOf(s)).Union(scalars()))
	for _, ref := range []*jsonschema.Schema{s.Ref, s.RecursiveRef} {
		if ref != nil {
			t = t.Meet(r.read(ref))
		}
	}
	if s.DynamicRef != nil || s.RecursiveRef != nil {
		t = t.Meet(expression.HiddenFields())
	}
	for _, part := range s.AllOf {
		t = t.Meet(r.read(part))
	}
	for _, choice := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
		if len(choice) > 0 {
			t = t.Meet(r.union(choice))
		}
	}
	t = r.conditional(s, t)
	if u := s.UnevaluatedProperties; u != nil && u.Bool != nil && !*u.Bool {
		t = t.Closed()
	} else if u != nil {
		t = t.Meet(expression.HiddenFields())
	}
	return t
}

func (r *schemaReader) union(choice []*jsonschema.Schema) expression.Type {
	var all expression.Type
	for _, s := range choice {
		all = all.Union(r.read(s))
	}
	return all
}

// conditional narrows t by if, then and else, and by what fields that are there
// bring along.
func (r *schemaReader) conditional(s *jsonschema.Schema, t expression.Type) expression.Type {
	if s.If != nil && (s.Then != nil || s.Else != nil) {
		t = t.Meet(r.read(s.If).Meet(r.read(s.Then)).Union(r.read(s.Else)))
	}
	if len(s.DependentSchemas) > 0 {
		t = t.Meet(expression.HiddenFields())
	}
	for _, d := range s.Dependencies {
		if _, ok := d.(*jsonschema.Schema); ok {
			return t.Meet(expression.HiddenFields())
		}
	}
	return t
}

// scalars are all values of JSON but objects and lists.
func scalars() expression.Type {
	var all expression.Type
	for _, name := range []string{"boolean", "number", "string", "null"} {
		all = all.Union(expression.NamedType(name))
	}
	return all.Plain()
}

func typesOf(s *jsonschema.Schema) expression.Type {
	if s.Types == nil || s.Types.IsEmpty() {
		return expression.JSONType()
	}
	var all expression.Type
	for _, name := range s.Types.ToStrings() {
		all = all.Union(expression.NamedType(name))
	}
	return all
}

// values are those of enum and const.
func values(s *jsonschema.Schema) expression.Type {
	t := expression.JSONType()
	if s.Const != nil {
		t = t.Meet(valueType(*s.Const))
	}
	if s.Enum != nil {
		var all expression.Type
		for _, v := range s.Enum.Values {
			all = all.Union(valueType(v))
		}
		t = t.Meet(all)
	}
	return t
}

// valueType is a value of a schema. Of objects and lists only that they are
// such counts.
func valueType(v any) expression.Type {
	switch v.(type) {
	case map[string]any:
		return expression.NamedType("object")
	case []any:
		return expression.NamedType("array")
	case nil:
		return expression.NamedType("null")
	default:
		return expression.LiteralType(v)
	}
}

// limit is the nearer of two limits, at most as near as it stands in the schema.
func limit(at, open *big.Rat, outward float64) *expression.Limit {
	write := func(r *big.Rat, open bool) *expression.Limit {
		f, exact := r.Float64()
		if math.IsInf(f, 0) {
			return nil
		}
		if !exact {
			f, open = math.Nextafter(f, math.Inf(int(outward))), false
		}
		return &expression.Limit{At: f, Open: open}
	}
	switch {
	case at == nil && open == nil:
		return nil
	case open == nil || at != nil && float64(at.Cmp(open))*outward < 0:
		return write(at, false)
	default:
		return write(open, true)
	}
}

// objectOf is what a schema itself says of objects.
func objectOf(s *jsonschema.Schema) expression.Type {
	names := map[string]bool{}
	for name, p := range s.Properties {
		names[name] = p.Bool == nil || *p.Bool
	}
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
		if _, ok := names[name]; !ok {
			names[name] = true
		}
	}
	var listed []string
	for name, allowed := range names {
		if allowed {
			listed = append(listed, name)
		}
	}
	slices.Sort(listed)
	return expression.SchemaObject(expression.Fields{
		Names: listed,
		Field: func(name string) (expression.Type, expression.Presence) { return fieldOf(s, name, required) },
		Any:   func() expression.Type { return anyFieldOf(s) },
	})
}

func fieldOf(s *jsonschema.Schema, name string, required map[string]bool) (expression.Type, expression.Presence) {
	t, listed := expression.JSONType(), false
	if p := s.Properties[name]; p != nil {
		t, listed = t.Meet(TypeOf(p)), true
	}
	for pattern, p := range s.PatternProperties {
		if pattern.MatchString(name) {
			t, listed = t.Meet(TypeOf(p)), true
		}
	}
	presence := expression.PresenceMaybe
	if !listed {
		t, presence = additional(s)
	}
	switch {
	case t.Nothing():
		return t, expression.PresenceNever
	case required[name]:
		presence = expression.PresenceAlways
	case listed && len(required) > 0:
		presence = expression.PresenceOptional
	}
	return t, presence
}

// additional is what a schema says of fields that it does not list.
func additional(s *jsonschema.Schema) (expression.Type, expression.Presence) {
	// Where others than those that are listed are welcome by name, nothing is
	// unknown but a slip.
	welcome, unlisted := expression.PresenceHidden, expression.PresenceOpen
	if len(s.Properties) > 0 {
		welcome, unlisted = expression.PresenceLoose, expression.PresenceUnlisted
	}
	switch extra := s.AdditionalProperties.(type) {
	case bool:
		if !extra {
			return expression.Type{}, expression.PresenceNever
		}
		return expression.JSONType(), welcome
	case *jsonschema.Schema:
		return TypeOf(extra), welcome
	}
	return expression.JSONType(), unlisted
}

// anyFieldOf is the type that every field has.
func anyFieldOf(s *jsonschema.Schema) expression.Type {
	var all expression.Type
	extra, presence := additional(s)
	if presence != expression.PresenceNever {
		all = extra
	}
	for _, p := range s.Properties {
		all = all.Union(TypeOf(p))
	}
	for _, p := range s.PatternProperties {
		all = all.Union(TypeOf(p))
	}
	// A field that is required and not listed may be anything.
	for _, name := range s.Required {
		if s.Properties[name] == nil && presence != expression.PresenceNever {
			all = all.Union(expression.JSONType())
		}
	}
	return all
}

// listOf is what a schema itself says of lists, in the words of every draft.
func listOf(s *jsonschema.Schema) expression.Type {
	prefix, rest := s.PrefixItems, s.Items2020
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		rest = items
	case []*jsonschema.Schema:
		prefix = items
		switch extra := s.AdditionalItems.(type) {
		case *jsonschema.Schema:
			rest = extra
		case bool:
			if !extra {
				return expression.ListType(itemTypes(prefix, func() expression.Type { return expression.Type{} }))
			}
		}
	}
	return expression.ListType(itemTypes(prefix, func() expression.Type {
		if rest == nil {
			return expression.JSONType()
		}
		return TypeOf(rest)
	}))
}

func itemTypes(prefix []*jsonschema.Schema, rest func() expression.Type) func(i int) expression.Type {
	return func(i int) expression.Type {
		switch {
		case i >= len(prefix):
			return rest()
		case i >= 0:
			return TypeOf(prefix[i])
		}
		all := rest()
		for _, p := range prefix {
			all = all.Union(TypeOf(p))
		}
		return all
	}
}
