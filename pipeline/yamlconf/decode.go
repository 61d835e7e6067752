package yamlconf

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
)

var (
	templateType   = reflect.TypeFor[handlers.Template]()
	expressionType = reflect.TypeFor[handlers.Expression]()
	secretType     = reflect.TypeFor[handlers.Secret]()
	sizeType       = reflect.TypeFor[handlers.Size]()
	rateType       = reflect.TypeFor[handlers.Rate]()
	durationType   = reflect.TypeFor[time.Duration]()
	outlineType    = reflect.TypeFor[Outline]()
)

// Options say how a document is decoded.
type Options struct {
	// Constants are what static fields may use. Relative paths of File are
	// relative to Dir.
	Constants expression.Constants
	// Dir is the folder that `path` fields are relative to.
	Dir string
	// Levels tells for unknown keys where they would be legal.
	Levels Levels
	// Spellings are what other tools call the keys.
	Spellings Spellings
	// Registry has the sinks that the document may name.
	Registry handlers.Registry
	// Vocabulary tells what may be shown of what has no place.
	Vocabulary *Vocabulary
}

// Decoder decodes the values of one document and collects what is wrong with
// them. It is not safe for concurrent use.
type Decoder struct {
	source   *diag.Source
	options  Options
	problems diag.Problems
	eaten    map[*yaml.Node]diag.Path
	secrets  map[diag.Path]string
	unknown  map[diag.Path]bool
	// lines are those that were gone through as if they were no YAML.
	lines map[int]bool
}

// NewDecoder makes a decoder for the values of doc.
func NewDecoder(doc *Document, o Options) *Decoder {
	if o.Vocabulary == nil {
		o.Vocabulary = &Vocabulary{}
	}
	return &Decoder{source: doc.Source, options: o, eaten: doc.eaten, secrets: map[diag.Path]string{},
		unknown: map[diag.Path]bool{}, lines: map[int]bool{}}
}

// Problems are what was found so far, in the order of decoding.
func (d *Decoder) Problems() diag.Problems { return d.problems }

// Secrets are the values that no output may show, by path, because their field
// is secret or because they come from a file.
func (d *Decoder) Secrets() map[diag.Path]string { return d.secrets }

// Unknown are the paths of static values that are not known, because variables
// or files are missing and Constants.Skip allows it. Their fields are zero.
func (d *Decoder) Unknown() map[diag.Path]bool { return d.unknown }

// Decode decodes n into what the pointer into points to. Defaults of fields
// that are not written are filled in. Where something is wrong, it is reported
// and the field left as it is.
func (d *Decoder) Decode(n Node, into any) {
	d.value(n, reflect.ValueOf(into).Elem(), field{})
}

// DecodeOrEmpty is Decode, but takes a value that is not written for an empty
// map.
func (d *Decoder) DecodeOrEmpty(n Node, into any) { d.decodeOrEmpty(n, into, nil) }

// DecodeBeside is DecodeOrEmpty where some keys of the value were written beside
// it by mistake, which has been reported: they are not missing.
func (d *Decoder) DecodeBeside(n Node, into any, beside []Field) {
	names := map[string]bool{}
	for _, f := range beside {
		names[f.Name] = true
	}
	d.decodeOrEmpty(n, into, names)
}

func (d *Decoder) decodeOrEmpty(n Node, into any, beside map[string]bool) {
	v := reflect.ValueOf(into).Elem()
	isStruct := v.Kind() == reflect.Struct && !reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[Custom]())
	if isStruct && (n.IsNull() || n.IsMap() && !d.hasTag(n)) {
		d.structFields(n, v, beside)
		return
	}
	d.value(n, v, field{})
}

// value decodes one value, as the tags of its field say.
func (d *Decoder) value(n Node, v reflect.Value, f field) {
	if _, eaten := d.eaten[n.target()]; eaten {
		if f.secret || f.url {
			d.hide(n, n.Text())
		}
		return
	}
	if d.hasTag(n) {
		if f.secret {
			d.source.MaskRegion(d.source.RestOfLine(d.source.NodeOffset(n.target())))
		}
		d.tagProblem(n)
		return
	}
	custom, isCustom := v.Addr().Interface().(Custom)
	switch {
	case n.IsEmpty() || n.IsNull() && !isCustom:
		d.emptyProblem(n, v.Type(), f)
		return
	case isCustom:
		custom.DecodeYAML(d, n)
		return
	}
	switch t := v.Type(); {
	case t == templateType, t == expressionType:
		d.keepSource(n, v, f)
	case t.Kind() == reflect.Pointer:
		fresh := reflect.New(t.Elem())
		d.value(n, fresh.Elem(), f)
		v.Set(fresh)
	case t.Kind() == reflect.Struct:
		if !n.IsMap() {
			d.notABlock(n, t)
			return
		}
		d.structFields(n, v, nil)
	case t.Kind() == reflect.Map:
		d.mapEntries(n, v, f)
	case t.Kind() == reflect.Slice:
		d.listItems(n, v, f)
	default:
		d.static(n, v, f)
	}
}

// keepSource keeps the source of a template or expression, to be compiled later.
func (d *Decoder) keepSource(n Node, v reflect.Value, f field) {
	what := "an expression"
	if v.Type() == templateType {
		what = "text"
	}
	if !n.IsScalar() && (f.name != "filter" && f.name != "when" || f.secret) {
		d.Unplaced(n)
	}
	switch {
	case !n.IsScalar() && n.flow() && d.condition(n, f):
	case !n.IsScalar() && n.flow():
		d.Add(diag.Problem{Path: n.Path, Place: d.place(n.target()), Code: diag.CodeEaten,
			Message: fmt.Sprintf("%s is expected here, but YAML reads text that starts with a bracket as %s", what,
				n.What()),
			Hint: quoteHint, Fix: d.quotedFix(n), FixAt: d.source.RestOfLine(d.source.NodeOffset(n.target()))})
	case !n.IsScalar():
		d.WrongType(n, what)
	case strings.TrimSpace(n.Text()) == "" && (f.required || v.Type() == expressionType):
		d.emptyProblem(n, v.Type(), f)
	default:
		v.Field(0).SetString(n.Text())
		if f.secret {
			d.hide(n, n.Text())
		}
	}
}

// structFields decodes a map into a config struct. Keys that stand beside it are
// not missing.
func (d *Decoder) structFields(n Node, v reflect.Value, beside map[string]bool) {
	fields := fieldsOf(v.Type())
	written, meant := map[string]bool{}, maps.Clone(beside)
	if meant == nil {
		meant = map[string]bool{}
	}
	var previous *Field
	for _, entry := range d.Fields(n) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == entry.Name })
		if i < 0 {
			meant[d.unknownKey(n, entry, previous, fields)] = true
			for _, f := range fields {
				meant[f.name] = meant[f.name] || f.required && d.legalBelow(n.Path, entry.Name, f.name)
			}
			continue
		}
		written[entry.Name] = true
		d.value(entry.Node, v.Field(fields[i].index), fields[i])
		previous = &entry
	}
	for _, f := range fields {
		switch {
		case written[f.name] || meant[f.name]:
		case f.required:
			d.Add(diag.Problem{Path: n.Path.Field(f.name), Place: d.source.Key(n.Path), Code: diag.CodeRequired,
				Message: fmt.Sprintf("%s is missing: it must be written", n.Path.Field(f.name)),
				Hint:    f.name + ": " + lowerFirst(f.doc)})
		case f.def != "":
			d.setDefault(v.Field(f.index), f)
		default:
			d.nestedDefaults(v.Field(f.index))
		}
	}
}

// nestedDefaults fills in a block that is not written but always there.
func (d *Decoder) nestedDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct || v.Type() == templateType || v.Type() == expressionType ||
		v.Type().Implements(outlineType) {
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		if f.def != "" {
			d.setDefault(v.Field(f.index), f)
		} else {
			d.nestedDefaults(v.Field(f.index))
		}
	}
}

// Defaults fills in the defaults of a block that is not written at all.
func (d *Decoder) Defaults(config any) {
	d.nestedDefaults(reflect.ValueOf(config).Elem())
}

func (d *Decoder) setDefault(v reflect.Value, f field) {
	if v.Type() == templateType || v.Type() == expressionType {
		v.Field(0).SetString(f.def)
		return
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for _, item := range strings.Split(f.def, ",") {
			e := reflect.New(v.Type().Elem()).Elem()
			if problem := convert(e, item, field{}); problem == nil {
				v.Set(reflect.Append(v, e))
			}
		}
		return
	}
	if problem := convert(v, f.def, f); problem != nil {
		panic("default of config field " + f.name + problem.message)
	}
}

func (d *Decoder) mapEntries(n Node, v reflect.Value, f field) {
	if !n.IsMap() {
		d.WrongType(n, "a map")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, entry := range d.Fields(n) {
		if entry.Node.IsNull() && strings.ContainsAny(entry.Name, " :") {
			d.Unplaced(entry.Node)
		}
		key := reflect.New(v.Type().Key()).Elem()
		if problem := convert(key, entry.Name, field{}); problem != nil {
			d.Add(diag.Problem{Path: entry.Node.Path, Place: d.source.Key(entry.Node.Path), Code: problem.code,
				Message: "a key of " + name(n.Path) + problem.message, Hint: problem.hint})
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(entry.Node, value, f.element())
		v.SetMapIndex(key, value)
	}
}

func (d *Decoder) listItems(n Node, v reflect.Value, f field) {
	if !n.IsList() {
		d.notAList(n, v.Type().Elem())
		return
	}
	items := d.Items(n)
	if len(items) == 0 && f.required {
		d.emptyProblem(n, v.Type(), f)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(item, v.Index(i), f.element())
	}
}

// element is what the tags of a list or map say of what it holds.
func (f field) element() field {
	return field{enum: f.enum, secret: f.secret, fold: f.fold, path: f.path, min: f.min, max: f.max, required: true,
		place: f.place, text: f.text}
}

// Registry has the sinks that the document may name.
func (d *Decoder) Registry() handlers.Registry { return d.options.Registry }

func (d *Decoder) place(n *yaml.Node) diag.Place { return d.source.At(d.source.NodeOffset(n)) }

// maskAll hides what was written in the place of a secret.
func (d *Decoder) maskAll(n *yaml.Node) {
	if n == nil {
		return
	}
	d.source.Mask(n)
	for _, child := range n.Content {
		d.maskAll(child)
	}
}

func (d *Decoder) hide(n Node, text string) {
	d.secrets[n.Path] = text
	if v := n.target(); v != nil && !strings.Contains(v.Value, "${") {
		d.source.Mask(v)
	}
}
