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
	nodes int
	paths [][]step // by slot
}

// node is one place in the trie.
type node struct {
	id     int
	slot   int // -1 where no path ends here
	names  []string
	fields []*node          // by name
	many   map[string]*node // the same, where there are many
	at     []int            // ascending
	items  []*node          // by index
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
	end := &t.root
	for _, s := range path {
		end = t.child(end, s)
	}
	if end.slot >= 0 {
		return end.slot
	}
	end.slot = len(t.paths)
	t.paths = append(t.paths, path)
	n := &t.root
	n.under = append(n.under, end.slot)
	for _, s := range path {
		n = t.child(n, s)
		n.under = append(n.under, end.slot)
	}
	return end.slot
}

func (t *trie) child(n *node, s step) *node {
	if s.index < 0 {
		if kid := n.named(s.name); kid != nil {
			return kid
		}
		kid := t.newNode()
		n.names = append(n.names, s.name)
		n.fields = append(n.fields, kid)
		switch {
		case n.many != nil:
			n.many[s.name] = kid
		case len(n.names) > fewNames:
			n.many = map[string]*node{}
			for i, name := range n.names {
				n.many[name] = n.fields[i]
			}
		}
		return kid
	}
	i, found := slices.BinarySearch(n.at, s.index)
	if !found {
		n.at = slices.Insert(n.at, i, s.index)
		n.items = slices.Insert(n.items, i, t.newNode())
	}
	return n.items[i]
}

func (t *trie) newNode() *node {
	t.nodes++
	return &node{id: t.nodes, slot: -1}
}

// fewNames are looked through faster than they are looked up.
const fewNames = 8

// inner tells that paths go on below a node.
func (n *node) inner() bool { return n.slot < 0 || len(n.under) > 1 }

// extract fills slots with what the valid JSON in data holds at the paths.
func (t *trie) extract(data []byte, slots []slot, x *extraction) {
	clear(slots)
	if len(x.met) <= t.nodes {
		x.met = make([]int, t.nodes+1)
	}
	x.data, x.slots = data, slots
	x.value(skipSpace(data, 0), &t.root, 0)
}

// extraction is what extract needs, kept from one record to the next.
type extraction struct {
	data  []byte
	slots []slot
	// objects counts those that were gone through, met is which of them had a
	// node's field last.
	objects int
	met     []int
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
	x.objects++
	this, again := x.objects, []int(nil)
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end, escaped := keyEnd(data, i)
		kid := n.field(data[i:end], escaped)
		i = skipSpace(data, skipSpace(data, end)+1)
		switch {
		case kid == nil:
			i = valueEnd(data, i)
		case kid.inner() && x.met[kid.id] == this:
			// Of a repeated key the last counts: which that is shows at the end.
			if again == nil {
				again = make([]int, len(x.met))
			}
			again[kid.id] = i
			i = valueEnd(data, i)
		default:
			x.met[kid.id] = this
			i = x.value(i, kid, depth+1)
		}
		if i = skipSpace(data, i); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	if again != nil {
		x.repeated(n, again, depth)
	}
	return i + 1
}

// repeated takes the last values of keys that are repeated, with nothing of the
// earlier ones left below them.
func (x *extraction) repeated(n *node, again []int, depth int) {
	for _, kid := range n.fields {
		if i := again[kid.id]; i > 0 {
			x.mark(kid, kindAny, 0)
			x.value(i, kid, depth+1)
		}
	}
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
	if n.many != nil {
		return n.many[string(inside)]
	}
	for i, name := range n.names {
		if string(inside) == name {
			return n.fields[i]
		}
	}
	return nil
}

func (n *node) named(name string) *node {
	if n.many != nil {
		return n.many[name]
	}
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
