package diag

import (
	"strconv"
	"strings"
)

// Path leads from the root of a configuration to one of its values, such as
// pipelines.orders.routes[0].when. The root is "".
type Path string

// Field is the path of the key called name.
func (p Path) Field(name string) Path {
	if !plainName(name) {
		name = strconv.Quote(name)
	}
	if p == "" {
		return Path(name)
	}
	return p + "." + Path(name)
}

// Fields is the path of dotted field names below p; with "" it is p.
func (p Path) Fields(dotted string) Path {
	if dotted == "" {
		return p
	}
	for name := range strings.SplitSeq(dotted, ".") {
		p = p.Field(name)
	}
	return p
}

// Item is the path of element i of a list.
func (p Path) Item(i int) Path {
	return p + Path("["+strconv.Itoa(i)+"]")
}

// Parent is the path of what holds p; the root's parent is the root.
func (p Path) Parent() Path {
	quoted := false
	for i := len(p) - 1; i > 0; i-- {
		switch {
		case p[i] == '"' && p[i-1] != '\\':
			quoted = !quoted
		case !quoted && (p[i] == '.' || p[i] == '['):
			return p[:i]
		}
	}
	return ""
}

// Within tells whether p is outer or lies below it.
func (p Path) Within(outer Path) bool {
	if outer == "" {
		return true
	}
	rest, ok := strings.CutPrefix(string(p), string(outer))
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func plainName(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return true
}
