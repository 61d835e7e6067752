package expression

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// fetch is base[key] where the two are not a constant path into the payload.
func (c *compilation) fetch(n *ast.MemberNode, base, key term) term {
	_, named := key.value.(string)
	text, hint := base.kind == kindText, ""
	for _, part := range []string{"payload", "value", "key", "topic"} {
		text = text || c.isName(n.Node, part) && (part != "payload" || c.format(false) != FormatJSON)
	}
	if text && named && !base.constant {
		// A name that is computed may be of a secret: it is shown as it is written.
		name := key.text
		if written, ok := n.Property.(*ast.StringNode); ok {
			name = written.Value
			if c.format(false) == FormatJSON && !c.scope.static {
				hint = "fields are read from payload: payload." + name
			}
		}
		c.find(n.Property, CodeType, fmt.Sprintf("%s is text: it has no field %s", base.text, name), hint)
		return c.wrong(n)
	}
	op := &operation{name: "[]", operands: []string{base.text, key.text}}
	if key.constant {
		return c.flat(n, kindAny, func(v, k any) any { return fetch(op, v, k) }, base, key)
	}
	return c.flat(n, kindAny, func(in *input, v, k any) any { return fetchNamed(in, op, v, k) }, base, key)
}

// fetch reads a field of an object or an item of a list: null where it is
// missing, and of null.
func fetch(op *operation, v, key any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		k, ok := key.(string)
		if !ok {
			failf("%s is %s: a field's name must be text", op.operand(1), kindOf(key))
		}
		return v[k]
	case []any:
		if _, ok := key.(string); ok {
			failf("%s is a list: it has no field %s", op.operand(0), op.operand(1))
		}
		i := op.whole(1, scalarOf(key))
		if i < 0 {
			i += int64(len(v))
		}
		if i < 0 || i >= int64(len(v)) {
			return nil
		}
		return v[i]
	}
	if _, ok := key.(string); ok {
		failf("%s is %s: it has no field %s", op.operand(0), kindOf(v), op.operand(1))
	}
	failf("%s is %s: it has no items", op.operand(0), kindOf(v))
	return nil
}

// fetchNamed is fetch for a name that a record may make long.
func fetchNamed(in *input, op *operation, v, key any) any {
	if name, ok := key.(string); ok {
		in.step(len(name) / scannedAStep)
	}
	return fetch(op, v, key)
}

// slice is a[from:to] of a list or of text, whose characters it counts.
func (c *compilation) slice(n *ast.SliceNode) term {
	args := []term{c.expr(n.Node), {constant: true, kind: kindNull}, {constant: true, kind: kindNull}}
	if n.From != nil {
		args[1] = c.expr(n.From)
	}
	if n.To != nil {
		args[2] = c.expr(n.To)
	}
	op := &operation{name: "[:]", operands: []string{args[0].text, args[1].text, args[2].text}}
	noFrom, noTo := n.From == nil, n.To == nil
	return c.flat(n, args[0].kind, func(in *input, a []any) any {
		bound := func(i int, missing bool, otherwise, size int) int {
			if missing {
				return otherwise
			}
			at := op.whole(i, scalarOf(a[i]))
			if at < 0 {
				at += int64(size)
			}
			return int(min(max(at, 0), int64(size)))
		}
		switch v := a[0].(type) {
		case []any:
			from, to := bound(1, noFrom, 0, len(v)), bound(2, noTo, len(v), len(v))
			return v[min(from, to):to:to]
		case string:
			in.step(stepsOfItem * len(v))
			in.made(5 * len(v))
			runes := []rune(op.utf8(0, v))
			from, to := bound(1, noFrom, 0, len(runes)), bound(2, noTo, len(runes), len(runes))
			return string(runes[min(from, to):to])
		}
		failf("%s is %s: [:] needs a list or text", op.operand(0), kindOf(a[0]))
		return nil
	}, args...)
}
