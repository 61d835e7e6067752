package expression

import (
	"maps"
	"slices"
	"time"
)

// listFunctions are the functions on lists and objects. What they return of an
// object is in the order of its keys.
var listFunctions = map[string]builtin{
	"first":     {1, 1, kindAny, func(op *operation, a []any) any { return item(op.list(0, a), 0) }},
	"last":      {1, 1, kindAny, func(op *operation, a []any) any { l := op.list(0, a); return item(l, len(l)-1) }},
	"get":       {2, 2, kindAny, func(op *operation, a []any) any { return fetch(op, a[0], a[1]) }},
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

func take(op *operation, args []any) any {
	list, n := op.list(0, args), op.whole(1, scalarOf(args[1]))
	if n < 0 {
		failf("%s is negative: take cannot take that many", op.operand(1))
	}
	n = min(n, int64(len(list)))
	return list[:n:n]
}

func keys(op *operation, args []any) any {
	list := []any{}
	for _, k := range slices.Sorted(maps.Keys(op.object(0, args))) {
		list = append(list, k)
	}
	return list
}

func values(op *operation, args []any) any {
	object, list := op.object(0, args), []any{}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		list = append(list, object[k])
	}
	return list
}

func toPairs(op *operation, args []any) any {
	object, list := op.object(0, args), []any{}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		list = append(list, []any{k, object[k]})
	}
	return list
}

func fromPairs(op *operation, args []any) any {
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
		object[key] = pair[1]
	}
	return object
}

func reverse(op *operation, args []any) any {
	list := slices.Clone(op.list(0, args))
	slices.Reverse(list)
	return list
}

// uniq keeps the first of equal elements. Equal values have the same JSON, so
// that one look-up an element is enough.
func uniq(op *operation, args []any) any {
	weigh(args[0])
	seen, out := map[string]bool{}, []any{}
	for _, e := range op.list(0, args) {
		key := []byte{byte(kindOf(e))}
		if s, ok := e.(string); ok {
			key = append(key, s...)
		} else {
			var err error
			if key, err = appendValue(key, e); err != nil {
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

func concat(op *operation, args []any) any {
	out := []any{}
	for i := range args {
		out = append(out, op.list(i, args)...)
		if len(out) > maxList {
			op.tooMany()
		}
	}
	return out
}

func flatten(op *operation, args []any) any {
	weigh(args[0])
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

func sortList(op *operation, args []any) any {
	list := op.list(0, args)
	down := len(args) == 2 && descending(op, args[1])
	pairs := make([]any, len(list))
	for i, e := range list {
		pairs[i] = []any{e, e}
	}
	elements := &operation{name: "sort", operands: []string{"an element of " + op.operand(0)}}
	return sortPairs(elements, pairs, down)
}

func descending(op *operation, order any) bool {
	if order != "asc" && order != "desc" {
		failf(`the order of %s must be "asc" or "desc"`, op.name)
	}
	return order == "desc"
}

// sortPairs orders the first of each pair by the second, which must all be
// numbers, all text, all times or all durations. Equal ones keep their order.
func sortPairs(op *operation, pairs []any, down bool) any {
	if len(pairs) > maxList {
		op.tooMany()
	}
	var first kind
	for i, p := range pairs {
		v := p.([]any)[1]
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
	by := &operation{name: op.name, operands: []string{op.operand(0), op.operand(0)}}
	slices.SortStableFunc(pairs, func(a, b any) int {
		c := order(by, a.([]any)[1], b.([]any)[1])
		if down {
			return -c
		}
		return c
	})
	out := make([]any, len(pairs))
	for i, p := range pairs {
		out[i] = p.([]any)[0]
	}
	return out
}
