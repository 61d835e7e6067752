package yamlconf

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
)

// Vocabulary tells what the keys of a configuration hold, and so what can be shown
// where nobody knows which place a text stands in.
type Vocabulary struct {
	keys map[string]holds
	// names are the keys in order.
	names []string
	// words are keys, kinds of sinks, and what can be chosen from: none is a secret.
	words map[string]bool
}

// holds is what the value of a key is, wherever it stands.
type holds int

// A key that holds different things in different places holds the first of them.
const (
	// unknown may be secret, or may hold what is.
	unknown holds = iota
	// block has further keys.
	block
	// named has what has a name, which is a single word and no secret.
	named
	// open is a setting that is secret nowhere.
	open
)

// VocabularyOf is that of a config struct and of the sinks.
func VocabularyOf(config any, registry handlers.Registry) *Vocabulary {
	v := &Vocabulary{keys: map[string]holds{"<<": open}, words: map[string]bool{}}
	for _, word := range []string{"true", "false", "yes", "no", "on", "off", "null", "embedded", "earliest", "latest"} {
		v.words[word] = true
	}
	v.fields(reflect.TypeOf(config), 0)
	for _, kind := range registry.Kinds() {
		v.key(kind, block)
		v.fields(reflect.TypeOf(registry[kind].New()).Elem(), 0)
	}
	v.names = slices.Sorted(maps.Keys(v.keys))
	return v
}

// NewVocabulary is that of another language, whose keys hold nothing secret.
func NewVocabulary(keys, words []string) *Vocabulary {
	v := &Vocabulary{keys: map[string]holds{}, words: map[string]bool{"true": true, "false": true, "null": true},
		names: keys}
	for _, key := range keys {
		v.key(key, open)
	}
	for _, word := range words {
		v.words[word] = true
	}
	return v
}

func (v *Vocabulary) fields(t reflect.Type, depth int) {
	if t = innermost(t); t.Kind() != reflect.Struct || depth > maxLevels {
		return
	}
	for _, f := range fieldsOf(t) {
		ft := t.Field(f.index).Type
		v.key(f.name, holdsOf(ft, f))
		for _, word := range f.enum {
			v.words[word] = true
		}
		v.fields(ft, depth+1)
	}
}

// maxLevels is how deep a type is looked into, which may hold itself.
const maxLevels = 10

// innermost is what lists, pointers and maps of a type come down to.
func innermost(t reflect.Type) reflect.Type {
	for {
		switch {
		case t.Implements(outlineType):
			_, inner := reflect.Zero(t).Interface().(Outline).Inside()
			if inner == nil {
				return t
			}
			t = inner
		case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
			t = t.Elem()
		default:
			return t
		}
	}
}

func holdsOf(t reflect.Type, f field) holds {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !t.Implements(outlineType) {
		t = t.Elem()
	}
	isCustom := reflect.PointerTo(t).Implements(reflect.TypeFor[Custom]())
	switch {
	case f.secret:
		return unknown
	case t.Kind() == reflect.Slice:
		return named
	case t == templateType, t == expressionType:
		return open
	case t.Kind() == reflect.Map:
		return unknown
	case t.Kind() == reflect.Struct && !isCustom, t.Implements(outlineType):
		return block
	default:
		return open
	}
}

func (v *Vocabulary) key(name string, what holds) {
	if before, ok := v.keys[name]; ok {
		what = min(what, before)
	}
	v.keys[name], v.words[name] = what, true
}

// holdsNoSecret tells whether nothing in a block may be secret, so that whatever
// stands in its place is none.
func holdsNoSecret(t reflect.Type, depth int) bool {
	if t = innermost(t); t.Kind() != reflect.Struct || depth > maxLevels {
		return true
	}
	for _, f := range fieldsOf(t) {
		if ft := t.Field(f.index).Type; holdsOf(ft, f) == unknown || f.url || f.place == "url" ||
			!holdsNoSecret(ft, depth+1) {
			return false
		}
	}
	return true
}

// of is what stands behind a key that may be misspelt, or misplaced.
func (v *Vocabulary) of(name string) holds {
	if _, ok := v.keys[name]; !ok && secretKey(name) {
		return unknown
	}
	return v.keys[v.slip(name)]
}

// slip is the key that a word is a slip of so clearly that its value is one of that.
func (v *Vocabulary) slip(word string) string {
	if key := v.meant(word); key == word || len(word) > 3 && key != "" && word[0]|0x20 == key[0] &&
		(sameWords(word, key) || oneSlip(word, key)) {
		return key
	}
	return ""
}

// oneSlip tells whether one letter more, less, or other, or two that are swapped, make
// a word another.
func oneSlip(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// meant is the key that a word is, or almost is; "" for none.
func (v *Vocabulary) meant(word string) string {
	if _, ok := v.keys[word]; ok {
		return word
	}
	return nearestKey(word, v.names)
}

var (
	// plainValue is what is no secret by its kind: a number with its unit, a date, a
	// list of those, or a field of a record.
	plainValue = regexp.MustCompile(`^(?:[-+]?[0-9]{1,7}(?:\.[0-9]{1,6})?(?:%|/?[A-Za-zµ]{1,3})?|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+Z?)?|` +
		`(?:payload|headers|topic|timestamp)(?:\.[A-Za-z_][A-Za-z0-9_]*)*\)*|[|>][-+0-9]{0,2}|[\[\]{},.|>=\s-]*|(?:<{7}|>{7})(?: \S+)?)$`)
)

// harmless tells whether a text is no secret by what it is.
func (v *Vocabulary) harmless(text string) bool {
	text = strings.Trim(text, " \t\"'")
	return len(text) <= 2 || v.words[text] || plainValue.MatchString(text) || reference.MatchString(text)
}
