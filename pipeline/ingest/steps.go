package ingest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// steps are the keywords of one schema that look into objects and lists.
type steps struct {
	examiner   *examiner
	properties map[string]*jsonschema.Schema
	patterns   []patternStep
	// instructions are those of all patterns.
	instructions int
	// others is what `additionalProperties` says: nil, a bool or a schema.
	others any
	names  *jsonschema.Schema
	// first are the schemas of the first items, and rest is that of the others:
	// nil, a bool or a schema.
	first    []*jsonschema.Schema
	rest     any
	contains *jsonschema.Schema
	min, max *int
	// unevaluated are left to the library, and only counted.
	unevaluated []*jsonschema.Schema
	draft       int
}

type patternStep struct {
	regexp jsonschema.Regexp
	schema *jsonschema.Schema
}

// takeOver takes the keywords that look into a value out of a schema and of all
// that it leads to.
func (e *examiner) takeOver(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) error {
	if seen[s] {
		return nil
	}
	seen[s] = true
	if s.DynamicRef != nil && s.DynamicRef.Anchor != "" || s.RecursiveRef != nil && s.RecursiveRef.RecursiveAnchor {
		return errUnbounded
	}
	taken := &steps{
		examiner: e, properties: s.Properties, others: s.AdditionalProperties, names: s.PropertyNames,
		first: s.PrefixItems, contains: s.Contains, min: s.MinContains, max: s.MaxContains,
		unevaluated: withoutNil([]*jsonschema.Schema{s.UnevaluatedProperties, s.UnevaluatedItems}),
		draft:       s.DraftVersion,
	}
	for regexp, schema := range s.PatternProperties {
		taken.patterns = append(taken.patterns, patternStep{regexp, schema})
		taken.instructions += instructions(regexp)
	}
	slices.SortFunc(taken.patterns, func(a,
		b patternStep) int {
		return cmp.Compare(a.regexp.String(), b.regexp.String())
	})
	switch items := s.Items.(type) {
	case []*jsonschema.Schema:
		taken.first, taken.rest = items, s.AdditionalItems
	case *jsonschema.Schema:
		taken.rest = items
	}
	if s.Items2020 != nil {
		taken.rest = s.Items2020
	}
	s.Properties, s.PatternProperties, s.AdditionalProperties, s.PropertyNames = nil, nil, nil, nil
	s.Items, s.AdditionalItems, s.PrefixItems, s.Items2020 = nil, nil, nil, nil
	s.Contains, s.MinContains, s.MaxContains = nil, nil, nil
	below := taken.below()
	if len(below) > 0 || taken.others != nil || taken.rest != nil {
		s.Extensions = append(s.Extensions, taken)
	}
	for _, other := range append(below, inPlace(s)...) {
		if err := e.takeOver(other, seen); err != nil {
			return err
		}
	}
	return nil
}

// below are the schemas that are applied to parts of the value.
func (s *steps) below() []*jsonschema.Schema {
	all := append([]*jsonschema.Schema{s.names, s.contains}, s.first...)
	all = append(all, s.unevaluated...)
	for _, name := range slices.Sorted(maps.Keys(s.properties)) {
		all = append(all, s.properties[name])
	}
	for _, p := range s.patterns {
		all = append(all, p.schema)
	}
	for _, other := range []any{s.others, s.rest} {
		if schema, ok := other.(*jsonschema.Schema); ok {
			all = append(all, schema)
		}
	}
	return withoutNil(all)
}

// Validate does the keywords, as the library calls it.
func (s *steps) Validate(ctx *jsonschema.ValidatorContext, value any) {
	c := &course{steps: s, ctx: ctx, left: 1}
	if s.examiner.explaining {
		c.left = maxReasons
	}
	switch v := value.(type) {
	case map[string]any:
		s.countUnevaluated(len(v))
		c.object(v)
	case []any:
		s.countUnevaluated(len(v))
		c.list(v)
	}
	if s.examiner.left < 0 {
		ctx.AddErr(&jsonschema.ValidationError{ErrorKind: &kind.Not{}})
	}
}

func (s *steps) countUnevaluated(parts int) {
	for _, schema := range s.unevaluated {
		s.examiner.take(s.examiner.weigh(schema, nil).nodes * parts)
	}
}

// course is one value's way through the steps.
type course struct {
	*steps
	ctx *jsonschema.ValidatorContext
	// left is how many more violations are of interest.
	left int
}

// going tells whether there is more to do.
func (c *course) going() bool { return c.left > 0 && c.examiner.left >= 0 }

func (c *course) look(schema *jsonschema.Schema, part any, at string) {
	if err := c.examiner.look(c.ctx, schema, part, at); err != nil {
		c.ctx.AddErr(err)
		c.left--
	}
}

func (c *course) object(object map[string]any) {
	if c.properties == nil && c.patterns == nil && c.others == nil && c.names == nil {
		return
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !c.going() {
			break
		}
		known := false
		if schema, ok := c.properties[name]; ok {
			known = true
			c.look(schema, object[name], name)
		}
		c.examiner.take(len(c.patterns) + c.instructions*len(name)/64)
		for _, p := range c.patterns {
			if c.going() && p.regexp.MatchString(name) {
				known = true
				c.look(p.schema, object[name], name)
			}
		}
		if !known && c.others != nil {
			known = true
			switch others := c.others.(type) {
			case bool:
				if !others {
					unknown = append(unknown, name)
				}
			case *jsonschema.Schema:
				c.look(others, object[name], name)
			}
		}
		if known {
			c.ctx.EvaluatedProp(name)
		}
		if len(unknown) >= c.left {
			break
		}
	}
	if len(unknown) > 0 {
		c.ctx.AddError(&kind.AdditionalProperties{Properties: unknown})
		c.left--
	}
	c.propertyNames(object)
}

func (c *course) propertyNames(object map[string]any) {
	if c.names == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !c.going() {
			return
		}
		if err := c.examiner.look(c.ctx, c.names, name, name); err != nil {
			c.ctx.AddErrors([]*jsonschema.ValidationError{err}, &kind.PropertyNames{Property: name})
			c.left--
		}
	}
}

func (c *course) list(list []any) {
	for i, item := range list {
		if !c.going() || !c.item(i, item, len(list)-i) {
			break
		}
	}
	if c.contains != nil && c.going() {
		c.count(list)
	}
}

// item does one item, and tells whether those after it matter.
func (c *course) item(i int, item any, left int) bool {
	schema := c.rest
	if i < len(c.first) {
		schema = c.first[i]
	}
	switch schema := schema.(type) {
	case *jsonschema.Schema:
		c.look(schema, item, strconv.Itoa(i))
		return true
	case bool:
		if !schema {
			c.ctx.AddError(&kind.AdditionalItems{Count: left})
			c.left--
		}
	}
	return false
}

// count does `contains` and its bounds.
func (c *course) count(list []any) {
	var misses []*jsonschema.ValidationError
	var matched []int
	for i, item := range list {
		if c.examiner.left < 0 {
			return
		}
		err := c.examiner.look(c.ctx, c.contains, item, strconv.Itoa(i))
		switch {
		case err == nil:
			matched = append(matched, i)
			if c.draft >= 2020 {
				c.ctx.EvaluatedItem(i)
			}
		case c.examiner.explaining && len(misses) < maxReasons:
			misses = append(misses, err)
		}
	}
	switch {
	case c.min != nil && len(matched) < *c.min:
		c.ctx.AddErrors(misses, &kind.MinContains{Got: matched, Want: *c.min})
	case c.min == nil && len(matched) == 0:
		c.ctx.AddErrors(misses, &kind.Contains{})
	}
	if c.max != nil && len(matched) > *c.max {
		c.ctx.AddError(&kind.MaxContains{Got: matched, Want: *c.max})
	}
}
