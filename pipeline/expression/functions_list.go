package expression

import (
	"slices"
	"time"
)

// listFunctions are the functions on lists and objects. What they return of an
// object is in the order of its keys.
var listFunctions = map[string]builtin{
	"first": {1, 1, kindAny, func(_ *input, op *operation, a []any) any { return item(op.list(0, a), 0) }},
	"last": {1, 1, kindAny, func(_ *input, op *operation,
		a []any) any {
		l := op.list(0, a)
		return item(l, len(l)-1)
	}},
	"get":       {2, 2, kindAny, func(in *input, op *operation, a []any) any { return fetchNamed(in, op, a[0], a[1]) }},
	"take":      {2, 2, kindList, take},
	"keys":      {1, 1, kindList, keys},
	"values":    {1, 1, kindList, values},
	"toPairs":   {1, 1, kindList, toPairs},
	"fromPairs": {1, 1, kindObject, fromPairs},
	"reverse":   {1, 1, kindList, reverse},
	"uniq":      {1, 1, kindList, uniq},
	"concat":    {1, -1, kindList, concat},
	"flatten":   {1, 1, kindList, flatten},
	"sort":      {1, 2, kindList, sortList},
}

// list is argument i, which must be a list.
func (o *operation) list(i int, args []any) []any {
	list, ok := args[i].([]any)
	if !ok {
		failf("%s is %s: %s needs a list", o.operand(i), kindOf(args[i]), o.name)
	}
	return list
}

func (o *operation) tooMany() {
	failf("%s makes a list of more than %d elements", o.name, maxList)
}

func (o *operation) object(i int, args []any) map[string]any {
	object, ok := args[i].(map[string]any)
	if !ok {
		failf("%s is %s: %s needs an object", o.operand(i), kindOf(args[i]), o.name)
	}
	return object
}

func item(list []any, i int) any {
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

func take(_ *input, op *operation, args []any) any {
	list, n := op.list(0, args), op.whole(1, scalarOf(args[1]))
	if n < 0 {
		failf("%s is negative: take cannot take that many", op.operand(1))
	}
	n = min(n, int64(len(list)))
	return list[:n:n]
}

func keys(in *input, op *operation, args []any) any {
	list := []any{}
	for _, k := range in.sortedKeys(op.object(0, args)) {
		in.made(bytesOfItem)
		list = append(list, k)
	}
	return list
}

func values(in *input, op *operation, args []any) any {
	object, list := op.object(0, args), []any{}
	for _, k := range in.sortedKeys(object) {
		list = append(list, object[k])
	}
	return list
}

func toPairs(in *input, op *operation, args []any) any {
	object, list := op.object(0, args), []any{}
	for _, k := range in.sortedKeys(object) {
		in.made(4 * bytesOfItem)
		list = append(list, []any{k, object[k]})
	}
	return list
}

func fromPairs(in *input, op *operation, args []any) any {
	object := map[string]any{}
	for _, e := range op.list(0, args) {
		pair, ok := e.([]any)
		if !ok || len(pair) != 2 {
			failf("an element of %s is no pair: fromPairs needs lists of two", op.operand(0))
		}
		key, ok := pair[0].(string)
		if !ok {
			failf("a key in %s is %s: fromPairs needs text", op.operand(0), kindOf(pair[0]))
		}
		in.step(stepsOfEntry + len(key)/scannedAStep)
		in.made(bytesOfEntry)
		object[key] = pair[1]
	}
	return object
}

func reverse(_ *input, op *operation, args []any) any {
	list := slices.Clone(op.list(0, args))
	slices.Reverse(list)
	return list
}

// uniq keeps the first of equal elements. Equal values have the same JSON, so
// that one look-up an element is enough.
func uniq(in *input, op *operation, args []any) any {
	in.weigh(args[0])
	seen, out := map[string]bool{}, []any{}
	for _, e := range op.list(0, args) {
		in.step(2 * stepsOfEntry)
		in.made(bytesOfEntry)
		key := []byte{byte(kindOf(e))}
		if s, ok := e.(string); ok {
			in.made(2 * len(s))
			key = append(key, s...)
		} else {
			var err error
			if key, err = in.appendValue(key, e); err != nil {
				failf("an element of %s: %v", op.operand(0), err)
			}
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			out = append(out, e)
		}
	}
	return out
}

func concat(in *input, op *operation, args []any) any {
	out := []any{}
	for i := range args {
		list := op.list(i, args)
		in.made(bytesOfItem * len(list))
		out = append(out, list...)
		if len(out) > maxList {
			op.tooMany()
		}
	}
	return out
}

func flatten(in *input, op *operation, args []any) any {
	in.weigh(args[0])
	return flattenInto(op, []any{}, op.list(0, args))
}

func flattenInto(op *operation, out, list []any) []any {
	for _, e := range list {
		if inner, ok := e.([]any); ok {
			out = flattenInto(op, out, inner)
		} else {
			out = append(out, e)
		}
		if len(out) > maxList {
			op.tooMany()
		}
	}
	return out
}

func sortList(in *input, op *operation, args []any) any {
	list := op.list(0, args)
	down := len(args) == 2 && descending(op, args[1])
	in.made(3 * bytesOfItem * len(list))
	pairs := make([]any, len(list))
	for i, e := range list {
		pairs[i] = []any{e, e}
	}
	elements := &operation{name: "sort", operands: []string{"an element of " + op.operand(0)}}
	return sortPairs(in, elements, pairs, down)
}

func descending(op *operation, order any) bool {
	if order != "asc" && order != "desc" {
		failf(`the order of %s must be "asc" or "desc"`, op.name)
	}
	return order == "desc"
}

// sortPairs orders the first of each pair by the second, which must all be
// numbers, all text, all times or all durations. Equal ones keep their order.
func sortPairs(in *input, op *operation, pairs []any, down bool) any {
	if len(pairs) > maxList {
		op.tooMany()
	}
	var first kind
	text := 0
	for i, p := range pairs {
		v := p.([]any)[1]
		if s, ok := v.(string); ok {
			text += len(s)
		}
		k := kindOf(v)
		if i == 0 {
			first = k
		}
		_, whole := v.(time.Time)
		if k != kindNumber && k != kindText && k != kindDuration && !whole {
			failf("%s is %s: %s cannot order it", op.operand(0), k, op.name)
		}
		if k != first {
			failf("%s is once %s and once %s: %s cannot order them", op.operand(0), first, k, op.name)
		}
	}
	// A stable sort moves things more often than it compares them.
	in.sorting(3*len(pairs), text)
	by := &operation{name: op.name, operands: []string{op.operand(0), op.operand(0)}}
	slices.SortStableFunc(pairs, func(a, b any) int {
		c := order(in, by, a.([]any)[1], b.([]any)[1])
		if down {
			return -c
		}
		return c
	})
	in.step(stepsOfValue * len(pairs))
	out := make([]any, len(pairs))
	for i, p := range pairs {
		out[i] = p.([]any)[0]
	}
	return out
}
