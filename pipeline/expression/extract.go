package expression

import (
	"fmt"
	"slices"
	"strconv"
)

// step is one step of a constant path: the name of a field, or an index from
// the start of a list.
type step struct {
	name  string
	index int // -1 where it is a name
}

// trie holds the paths into a payload that the expressions of a scope use. One
// pass over the JSON text finds the values of them all.
type trie struct {
	root  node
	paths [][]step // by slot
}

// node is one place in the trie.
type node struct {
	slot   int // -1 where no path ends here
	names  []string
	fields []*node // by name
	// made finds names while paths are added: there may be many.
	made  map[string]*node
	at    []int   // ascending
	items []*node // by index
	// under are the slots at and below this node.
	under []int
}

// slot is what one pass found for one path.
type slot struct {
	// raw is the value's text within the record; nil means null.
	raw []byte
	// broken is the kind of the value at depth steps, where the path goes on
	// but that value has no such parts.
	broken kind
	depth  int
	// value is raw decoded, once decoded is set.
	value   any
	decoded bool
}

// add returns the slot of a path, a new one where it has none.
func (t *trie) add(path []step) int {
	if t.paths == nil {
		t.root.slot = -1
	}
	n := &t.root
	for _, s := range path {
		n = n.child(s)
	}
	if n.slot >= 0 {
		return n.slot
	}
	id := len(t.paths)
	t.paths = append(t.paths, path)
	n.slot = id
	n = &t.root
	n.under = append(n.under, id)
	for _, s := range path {
		n = n.child(s)
		n.under = append(n.under, id)
	}
	return id
}

func (n *node) child(s step) *node {
	if s.index < 0 {
		if kid := n.made[s.name]; kid != nil {
			return kid
		}
		kid := &node{slot: -1}
		if n.made == nil {
			n.made = map[string]*node{}
		}
		n.made[s.name] = kid
		n.names = append(n.names, s.name)
		n.fields = append(n.fields, kid)
		return kid
	}
	i, found := slices.BinarySearch(n.at, s.index)
	if !found {
		n.at = slices.Insert(n.at, i, s.index)
		n.items = slices.Insert(n.items, i, &node{slot: -1})
	}
	return n.items[i]
}

// inner tells that paths go on below a node.
func (n *node) inner() bool { return n.slot < 0 || len(n.under) > 1 }

// extract fills slots with what the valid JSON in data holds at the paths.
func (t *trie) extract(data []byte, slots []slot) {
	clear(slots)
	x := extraction{data: data, slots: slots}
	x.value(skipSpace(data, 0), &t.root, 0)
}

type extraction struct {
	data  []byte
	slots []slot
}

// value takes the value at i into n and returns the index after it.
func (x *extraction) value(i int, n *node, depth int) int {
	start, end := i, 0
	switch c := x.data[i]; {
	case c == '{' && len(n.names) > 0:
		end = x.object(i, n, depth)
	case c == '[' && len(n.at) > 0:
		end = x.list(i, n, depth)
	default:
		end = valueEnd(x.data, i)
	}
	if n.slot >= 0 {
		x.slots[n.slot] = slot{raw: x.data[start:end]}
	}
	if n.inner() {
		x.refuse(n, x.data[start], depth)
	}
	return end
}

// refuse marks the paths that go on below n where a value that begins with c
// has no such parts.
func (x *extraction) refuse(n *node, c byte, depth int) {
	if c == 'n' {
		return
	}
	k := kindAt(c)
	if k != kindObject {
		for _, kid := range n.fields {
			x.mark(kid, k, depth)
		}
	}
	if k != kindList {
		for _, kid := range n.items {
			x.mark(kid, k, depth)
		}
	}
}

func (x *extraction) mark(n *node, k kind, depth int) {
	for _, s := range n.under {
		x.slots[s] = slot{broken: k, depth: depth}
	}
}

func (x *extraction) object(i int, n *node, depth int) int {
	data := x.data
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end, escaped := keyEnd(data, i)
		kid := n.field(data[i:end], escaped)
		i = skipSpace(data, skipSpace(data, end)+1)
		if kid == nil {
			i = valueEnd(data, i)
		} else {
			// Of a repeated key the last counts, with nothing of the earlier
			// ones left below it.
			if kid.inner() {
				x.mark(kid, kindAny, 0)
			}
			i = x.value(i, kid, depth+1)
		}
		if i = skipSpace(data, i); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return i + 1
}

func (x *extraction) list(i int, n *node, depth int) int {
	data, next := x.data, 0
	i = skipSpace(data, i+1)
	for index := 0; data[i] != ']'; index++ {
		if next < len(n.at) && n.at[next] == index {
			i = x.value(i, n.items[next], depth+1)
			next++
		} else {
			i = valueEnd(data, i)
		}
		if i = skipSpace(data, i); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return i + 1
}

// keyEnd is stringEnd, and whether the string holds an escape.
func keyEnd(data []byte, i int) (end int, escaped bool) {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			escaped = true
			i++
		}
	}
	return i + 1, escaped
}

func (n *node) field(quoted []byte, escaped bool) *node {
	if escaped {
		name, _ := decodeText(quoted)
		return n.named(name)
	}
	inside := quoted[1 : len(quoted)-1]
	for i, name := range n.names {
		if string(inside) == name {
			return n.fields[i]
		}
	}
	return nil
}

func (n *node) named(name string) *node {
	if i := slices.Index(n.names, name); i >= 0 {
		return n.fields[i]
	}
	return nil
}

// pathText writes a path as a user would.
func pathText(root string, path []step) string {
	text := root
	for _, s := range path {
		switch {
		case s.index >= 0:
			text += "[" + strconv.Itoa(s.index) + "]"
		case isName(s.name):
			text += "." + s.name
		default:
			text += fmt.Sprintf("[%q]", s.name)
		}
	}
	return text
}
