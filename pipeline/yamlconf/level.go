package yamlconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
)

// Spellings are the keys that other tools have for what is called otherwise
// here.
type Spellings map[string]string

// whereLegal says where a key would be legal that stands in the map at path: in
// what holds the map, in what the map holds, or else elsewhere.
func (d *Decoder) whereLegal(path diag.Path, key string) string {
	levels := d.options.Levels[key]
	here := segments(path)
	var above, below, others []string
	for _, l := range levels {
		at := strings.FieldsFunc(l, func(r rune) bool { return r == '.' })
		switch {
		case len(here) > 0 && sameLevel(at, here[:len(here)-1]):
			above = append(above, fmt.Sprintf("%q stands beside %s, not in it", key, here[len(here)-1]))
		case len(at) > 0 && sameLevel(at[:len(at)-1], here) && at[len(at)-1] != "<name>":
			below = append(below, fmt.Sprintf("%q is a key of %s", key, at[len(at)-1]))
		case len(at) > 0 && len(here) > 0 && at[len(at)-1] == here[len(here)-1]:
			others = slices.Insert(others, 0, l)
		default:
			others = append(others, l)
		}
	}
	if len(here) == 0 && slices.Contains(levels, "pipelines.<name>") {
		return fmt.Sprintf("%q is a key of a pipeline: pipelines: {name: {%s: …}}", key, key)
	}
	switch {
	case len(above) > 0:
		return above[0]
	case len(below) > 0:
		return below[0]
	case len(others) > 0:
		return fmt.Sprintf("%q stands %s", key, levelList(others, here))
	default:
		return ""
	}
}

// legalBelow tells whether an unknown key of the map at path would be legal in
// what is missing there under the name field.
func (d *Decoder) legalBelow(path diag.Path, key, field string) bool {
	want := append(segments(path), field)
	return slices.ContainsFunc(d.options.Levels[key], func(l string) bool {
		return sameLevel(strings.FieldsFunc(l, func(r rune) bool { return r == '.' }), want)
	})
}

// segments are the names of a path, without the items of lists.
func segments(path diag.Path) []string {
	var names []string
	for path != "" {
		parent := path.Parent()
		if name := strings.TrimPrefix(string(path[len(parent):]), "."); !strings.HasPrefix(name, "[") {
			names = append([]string{name}, names...)
		}
		path = parent
	}
	return names
}

// sameLevel compares a level, where <name> stands for any, with a path.
func sameLevel(level, path []string) bool {
	if len(level) != len(path) {
		return false
	}
	for i := range level {
		if level[i] != path[i] && level[i] != "<name>" {
			return false
		}
	}
	return true
}

func levelList(levels, here []string) string {
	var words []string
	for _, l := range levels {
		word := "under " + l
		switch {
		case l == "":
			word = "at the top of the file"
		case len(here) > 1 && l == here[len(here)-1]:
			word = "under the top-level " + l
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words[:min(2, len(words))], " or ")
}
