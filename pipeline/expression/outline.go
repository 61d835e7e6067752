package expression

import (
	"bytes"
	"encoding/json"
	"math"
)

// container is a list or an object in JSON text.
type container struct {
	// end is the index after it, next the number of the first container behind it,
	// count how many items or fields it has, those with a repeated name included.
	end, next, count uint32
}

// outlined finds the containers of valid JSON, numbered in the order in which
// they begin, before anything of it is decoded: lists and objects can then be
// made as large as they become, and passed over at once. It charges the look, and
// returns what decoding it costs.
func (in *input) outlined(raw []byte) ([]container, weight) {
	if len(raw) > math.MaxUint32 {
		failf("it has %d bytes, too many to be read", len(raw))
	}
	in.step(len(raw))
	all := in.outline[:0]
	var open [maxDepth + 1]uint32
	depth, size, values := 0, 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			end := stringEnd(raw, i)
			size += sizeOfText(end - i)
			if bytes.IndexByte(raw[i:end], '\\') >= 0 {
				in.step(stepsOfEscaped * (end - i))
			}
			i = end - 1
		case '[', '{':
			open[depth] = uint32(len(all))
			depth++
			c := container{}
			if next := skipSpace(raw, i+1); raw[next] != ']' && raw[next] != '}' {
				c.count = 1
			}
			all = append(all, c)
			size += sizeOfContainer
		case ',':
			all[open[depth-1]].count++
		case ']', '}':
			depth--
			c := &all[open[depth]]
			in.made(sizeOfOutline)
			c.end, c.next = uint32(i+1), uint32(len(all))
			if raw[i] == ']' {
				size += sizeOfList(int(c.count))
				values += int(c.count)
			} else {
				size += sizeOfObject(int(c.count))
				values += 2 * int(c.count) // each has a name to find a place for
			}
		}
	}
	in.outline = kept(all)
	return all, weight{steps: stepsOfContainer*len(all) + stepsOfDecoded*values, bytes: size}
}

// kept is a buffer for next time. One huge one must not be held on to for ever.
func kept[T any](buffer []T) []T {
	if cap(buffer) > 4096 {
		return nil
	}
	return buffer
}

// What decode allocates: no less than it takes, see TestDecodingIsCharged.
const (
	sizeOfOutline   = 36 // the outline grows, and is copied then
	sizeOfContainer = 24
	sizeOfValue     = 16
	sizeOfGroup     = 8*(16+16) + 8 + 24
)

func sizeOfText(n int) int { return 16 + n + n/8 }

func sizeOfList(n int) int { return n * (16 + sizeOfValue) }

// sizeOfObject follows Go's maps: groups of eight, at most seven eighths full.
func sizeOfObject(n int) int {
	if n <= 8 {
		return 48 + sizeOfGroup + n*sizeOfValue
	}
	return 512 + n*(80+sizeOfValue)
}

// decode reads one valid JSON value whole; nothing in it refers to raw.
func (in *input) decode(raw []byte) any {
	start := skipSpace(raw, 0)
	d := decoding{input: in, data: raw}
	if k := kindAt(raw[start]); k == kindList || k == kindObject {
		var w weight
		d.containers, w = in.outlined(raw[start:])
		in.step(w.steps)
		in.made(w.bytes)
	} else {
		in.scalarAt(raw[start:])
		in.made(sizeOfText(len(raw)))
	}
	v, _ := d.value(start)
	return v
}

// decoding is a walk through valid JSON.
type decoding struct {
	*input
	data       []byte
	containers []container // those that have not begun yet
}

func (d *decoding) value(i int) (any, int) {
	switch d.data[i] {
	case '{':
		return d.object(i)
	case '[':
		return d.list(i)
	case '"':
		end := stringEnd(d.data, i)
		text, whole := decodeText(d.data[i:end])
		if !whole {
			return half{}, end
		}
		return text, end
	default:
		end := valueEnd(d.data, i)
		s := d.scalarAt(d.data[i:end])
		if s.form == formBig {
			return json.Number(string(d.data[i:end])), end
		}
		return s.value(), end
	}
}

// begins is how many parts the container has that begins now.
func (d *decoding) begins() int {
	c := d.containers[0]
	d.containers = d.containers[1:]
	return int(c.count)
}

func (d *decoding) list(i int) (any, int) {
	list := make([]any, 0, d.begins())
	for i = skipSpace(d.data, i+1); d.data[i] != ']'; {
		var v any
		v, i = d.value(i)
		list = append(list, v)
		if i = skipSpace(d.data, i); d.data[i] == ',' {
			i = skipSpace(d.data, i+1)
		}
	}
	return list, i + 1
}

func (d *decoding) object(i int) (any, int) {
	object := make(map[string]any, d.begins())
	for i = skipSpace(d.data, i+1); d.data[i] != '}'; {
		end := stringEnd(d.data, i)
		key, _ := decodeText(d.data[i:end])
		i = skipSpace(d.data, skipSpace(d.data, end)+1)
		object[key], i = d.value(i)
		if i = skipSpace(d.data, i); d.data[i] == ',' {
			i = skipSpace(d.data, i+1)
		}
	}
	return object, i + 1
}
