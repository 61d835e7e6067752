package expression

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// textFunctions are the functions on text. Positions count characters, as len
// and [from:to] do.
var textFunctions = map[string]builtin{
	"trim":        {1, 2, kindText, trim},
	"trimPrefix":  {1, 2, kindText, cut(strings.TrimPrefix)},
	"trimSuffix":  {1, 2, kindText, cut(strings.TrimSuffix)},
	"upper":       {1, 1, kindText, cased(strings.ToUpper)},
	"lower":       {1, 1, kindText, cased(strings.ToLower)},
	"split":       {2, 3, kindList, splitWith(strings.SplitN)},
	"splitAfter":  {2, 3, kindList, splitWith(strings.SplitAfterN)},
	"replace":     {3, 4, kindText, replace},
	"replaceAll":  {3, 3, kindText, nil},  // see replacing
	"format":      {1, -1, kindText, nil}, // see formatting
	"join":        {1, 2, kindText, join},
	"indexOf":     {2, 2, kindNumber, indexBy(strings.Index)},
	"lastIndexOf": {2, 2, kindNumber, indexBy(strings.LastIndex)},
	"hasPrefix":   {2, 2, kindBool, fixed(strings.HasPrefix)},
	"hasSuffix":   {2, 2, kindBool, fixed(strings.HasSuffix)},
	"string":      {1, 1, kindText, toText},
	"toJSON":      {1, 1, kindText, toJSON},
	"fromJSON":    {1, 1, kindAny, fromJSON},
	"toBase64": {1, 1, kindText, func(_ *input, op *operation, a []any) any {
		return base64.StdEncoding.EncodeToString([]byte(op.text(0, a)))
	}},
	"fromBase64": {1, 1, kindText, fromBase64},
}

// text is argument i, which must be text.
func (o *operation) text(i int, args []any) string { return o.textOf(i, args[i]) }

func (o *operation) textOf(i int, v any) string {
	s, ok := v.(string)
	if !ok {
		failf("%s is %s: %s needs text", o.operand(i), kindOf(v), o.name)
	}
	return s
}

// characters is argument i, which must be text whose characters can be told
// apart: of bytes that are no UTF-8, work by characters makes others.
func (o *operation) characters(i int, args []any) string {
	return o.utf8(i, o.text(i, args))
}

func (o *operation) utf8(i int, s string) string {
	if !utf8.ValidString(s) {
		failf("%s is text that is not UTF-8: %s cannot take it", o.operand(i), o.name)
	}
	return s
}

func cased(by func(string) string) func(*input, *operation, []any) any {
	return func(in *input, op *operation, args []any) any {
		s := op.characters(0, args)
		in.step(stepsOfLetter * len(s))
		return by(s)
	}
}

// fixed looks at no more of a text than the other has.
func fixed(by func(s, part string) bool) func(*input, *operation, []any) any {
	return func(in *input, op *operation, args []any) any {
		s, part := op.text(0, args), op.text(1, args)
		in.step(len(part) / scannedAStep)
		return by(s, part)
	}
}

func trim(in *input, op *operation, args []any) any {
	if len(args) == 1 {
		return strings.TrimSpace(op.text(0, args))
	}
	set := map[rune]bool{}
	for _, r := range op.characters(1, args) {
		in.step(stepsOfEntry)
		set[r] = true
	}
	// strings.Trim looks through the set for each character.
	s := op.characters(0, args)
	in.step(stepsOfValue * len(s))
	return strings.TrimFunc(s, func(r rune) bool { return set[r] })
}

func cut(by func(s, part string) string) func(*input, *operation, []any) any {
	return func(_ *input, op *operation, args []any) any {
		part := " "
		if len(args) == 2 {
			part = op.text(1, args)
		}
		return by(op.text(0, args), part)
	}
}

func splitWith(by func(s, separator string, n int) []string) func(*input, *operation, []any) any {
	return func(in *input, op *operation, args []any) any {
		s, separator, n := op.text(0, args), op.text(1, args), int64(-1)
		if len(args) == 3 {
			n = op.whole(2, scalarOf(args[2]))
		}
		most := strings.Count(s, separator) + 1
		if n >= 0 {
			most = int(min(n, int64(most)))
		}
		if most > maxList {
			op.tooMany()
		}
		in.made(2 * bytesOfItem * most)
		parts := by(s, separator, int(max(-1, min(n, maxList))))
		list := make([]any, len(parts))
		for i, p := range parts {
			list[i] = p
		}
		return list
	}
}

func replace(in *input, op *operation, args []any) any {
	s, from, to, n := op.text(0, args), op.text(1, args), op.text(2, args), int64(-1)
	if len(args) == 4 {
		n = op.whole(3, scalarOf(args[3]))
	}
	times := strings.Count(s, from)
	if n >= 0 {
		times = int(min(n, int64(times)))
	}
	in.step(stepsOfValue * times)
	in.room(len(s) + times*(len(to)-len(from)))
	return strings.Replace(s, from, to, times)
}

func join(in *input, op *operation, args []any) any {
	list, glue := op.list(0, args), ""
	if len(args) == 2 {
		glue = op.text(1, args)
	}
	in.made(bytesOfItem * len(list))
	size := len(glue) * len(list)
	parts := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			failf("an element of %s is %s: join needs text", op.operand(0), kindOf(e))
		}
		size += len(s)
		parts[i] = s
	}
	in.room(size)
	return strings.Join(parts, glue)
}

func indexBy(of func(s, part string) int) func(*input, *operation, []any) any {
	return func(_ *input, op *operation, args []any) any {
		s := op.text(0, args)
		i := of(s, op.text(1, args))
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return int64(i)
	}
}

func toText(in *input, op *operation, args []any) any { return op.rendered(in, 0, args[0]) }

// rendered is argument i as text, whatever it is.
func (o *operation) rendered(in *input, i int, v any) string {
	if v == nil {
		failf("%s is null: %s needs a value", o.operand(i), o.name)
	}
	if s, ok := v.(string); ok {
		return s
	}
	in.weigh(v)
	text, err := in.textOf(nil, v)
	if err != nil {
		failf("%s: %v", o.operand(i), err)
	}
	return string(text)
}

func toJSON(in *input, op *operation, args []any) any {
	in.weigh(args[0])
	text, err := in.appendValue(nil, args[0])
	if err != nil {
		failf("%s: %v", op.operand(0), err)
	}
	return string(text)
}

func fromJSON(in *input, op *operation, args []any) any {
	s := op.text(0, args)
	in.made(len(s))
	in.step(2 * len(s))
	text := []byte(s)
	if checkJSON(text) != nil {
		failf("%s is text that is not valid JSON", op.operand(0))
	}
	return in.decode(text)
}

func fromBase64(_ *input, op *operation, args []any) any {
	b, err := base64.StdEncoding.DecodeString(op.text(0, args))
	if err != nil {
		failf("%s is text that is not base64", op.operand(0))
	}
	return string(b)
}
