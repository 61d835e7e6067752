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
	"upper":       {1, 1, kindText, func(op *operation, a []any) any { return bounded(op, strings.ToUpper(op.characters(0, a))) }},
	"lower":       {1, 1, kindText, func(op *operation, a []any) any { return bounded(op, strings.ToLower(op.characters(0, a))) }},
	"split":       {2, 3, kindList, splitWith(strings.SplitN)},
	"splitAfter":  {2, 3, kindList, splitWith(strings.SplitAfterN)},
	"replace":     {3, 4, kindText, replace},
	"join":        {1, 2, kindText, join},
	"indexOf":     {2, 2, kindNumber, indexBy(strings.Index)},
	"lastIndexOf": {2, 2, kindNumber, indexBy(strings.LastIndex)},
	"hasPrefix":   {2, 2, kindBool, func(op *operation, a []any) any { return strings.HasPrefix(op.text(0, a), op.text(1, a)) }},
	"hasSuffix":   {2, 2, kindBool, func(op *operation, a []any) any { return strings.HasSuffix(op.text(0, a), op.text(1, a)) }},
	"string":      {1, 1, kindText, toText},
	"toJSON":      {1, 1, kindText, toJSON},
	"fromJSON":    {1, 1, kindAny, fromJSON},
	"toBase64":    {1, 1, kindText, func(op *operation, a []any) any { return base64.StdEncoding.EncodeToString([]byte(op.text(0, a))) }},
	"fromBase64":  {1, 1, kindText, fromBase64},
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

func bounded(op *operation, s string) string {
	if len(s) > maxText {
		op.tooLong()
	}
	return s
}

func (o *operation) tooLong() {
	failf("%s makes a text of more than %d MiB", o.name, maxText>>20)
}

func trim(op *operation, args []any) any {
	if len(args) == 1 {
		return strings.TrimSpace(op.text(0, args))
	}
	return strings.Trim(op.characters(0, args), op.characters(1, args))
}

func cut(by func(s, part string) string) func(*operation, []any) any {
	return func(op *operation, args []any) any {
		part := " "
		if len(args) == 2 {
			part = op.text(1, args)
		}
		return by(op.text(0, args), part)
	}
}

func splitWith(by func(s, separator string, n int) []string) func(*operation, []any) any {
	return func(op *operation, args []any) any {
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
		parts := by(s, separator, int(max(-1, min(n, maxList))))
		list := make([]any, len(parts))
		for i, p := range parts {
			list[i] = p
		}
		return list
	}
}

func replace(op *operation, args []any) any {
	s, from, to, n := op.text(0, args), op.text(1, args), op.text(2, args), int64(-1)
	if len(args) == 4 {
		n = op.whole(3, scalarOf(args[3]))
	}
	times := strings.Count(s, from)
	if n >= 0 {
		times = int(min(n, int64(times)))
	}
	if len(to) > len(from) && times > (maxText-len(s))/(len(to)-len(from)) {
		op.tooLong()
	}
	return strings.Replace(s, from, to, times)
}

func join(op *operation, args []any) any {
	list, glue := op.list(0, args), ""
	if len(args) == 2 {
		glue = op.text(1, args)
	}
	size := len(glue) * len(list)
	parts := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			failf("an element of %s is %s: join needs text", op.operand(0), kindOf(e))
		}
		if size += len(s); size > maxText {
			op.tooLong()
		}
		parts[i] = s
	}
	return strings.Join(parts, glue)
}

func indexBy(of func(s, part string) int) func(*operation, []any) any {
	return func(op *operation, args []any) any {
		s := op.text(0, args)
		i := of(s, op.text(1, args))
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return int64(i)
	}
}

func toText(op *operation, args []any) any {
	if args[0] == nil {
		failf("%s is null: string needs a value", op.operand(0))
	}
	if s, ok := args[0].(string); ok {
		return s
	}
	weigh(args[0])
	text, err := textOf(nil, args[0])
	if err != nil {
		failf("%s: %v", op.operand(0), err)
	}
	return bounded(op, string(text))
}

func toJSON(op *operation, args []any) any {
	weigh(args[0])
	text, err := appendValue(nil, args[0])
	if err != nil {
		failf("%s: %v", op.operand(0), err)
	}
	return bounded(op, string(text))
}

func fromJSON(op *operation, args []any) any {
	text := []byte(op.text(0, args))
	if len(text) > maxText || checkJSON(text) != nil {
		failf("%s is text that is not valid JSON", op.operand(0))
	}
	return decode(text)
}

func fromBase64(op *operation, args []any) any {
	b, err := base64.StdEncoding.DecodeString(op.text(0, args))
	if err != nil {
		failf("%s is text that is not base64", op.operand(0))
	}
	return string(b)
}
