package expression

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/handlers"
)

// recordNames are all names that some record offers.
var recordNames = []string{"payload", "key", "headers", "topic", "partition", "offset", "timestamp", "value", "source"}

func (c *compilation) identifier(n *ast.IdentifierNode) term {
	if slices.Contains(c.variables, n.Value) {
		if b, ok := c.bound[n.Value]; ok {
			if b.secret {
				c.revealed++
			}
			return c.constantTerm(n, b.value)
		}
		return c.made(n, kindAny, &ast.IdentifierNode{Value: n.Value})
	}
	switch n.Value {
	case "env":
		c.find(n, CodeNotOffered, "env is no value by itself", `name a variable: env.NAME`)
		return c.wrong(n)
	case "source":
		if c.offered(n, n.Value) {
			c.find(n, CodeNotOffered, "source is no value by itself",
				"name a part of it: source.payload, source.key or source.headers")
		}
		return c.wrong(n)
	}
	return c.part(n, n.Value, false)
}

// offered tells whether a name exists here, with a finding where it does not.
func (c *compilation) offered(n ast.Node, name string) bool {
	s := c.scope
	if slices.Contains(s.names(), name) {
		return true
	}
	switch {
	case !slices.Contains(recordNames, name):
		c.unknownName(n, name)
	case s.static:
		c.find(n, CodeStatic, name+" is part of a record: this is fixed when the configuration is loaded",
			"only env.NAME and file(...) can be used here")
	case name == "payload":
		c.find(n, CodeNotOffered, "there is no payload with format: bytes", "use value, the raw text")
	default:
		c.find(n, CodeNotOffered, name+" does not exist for a request: there is no record yet",
			"use payload, headers, topic or value")
	}
	return false
}

// part is one of a record's parts; original tells that it is the original's.
func (c *compilation) part(n ast.Node, name string, original bool) term {
	if !c.offered(n, name) {
		return c.wrong(n)
	}
	if name == "payload" && c.format(original) == FormatJSON {
		return c.path(n, original, nil)
	}
	if name == "key" && c.scope.options.Request {
		return c.constantTerm(n, nil)
	}
	r := &ref{slot: -1, original: original}
	k := kindAny
	switch name {
	case "payload", "value":
		c.reading(r, func(in *input) []byte { return in.rec.Value })
	case "key":
		c.reading(r, func(in *input) []byte { return in.rec.Key })
	case "topic":
		k = kindText
		r.scalar = func(in *input) scalar { return scalar{kind: kindText, s: r.input(in).rec.Topic} }
	case "partition":
		k = kindNumber
		r.scalar = func(in *input) scalar { return scalar{kind: kindNumber, i: int64(r.input(in).rec.Partition)} }
	case "offset":
		k = kindNumber
		r.scalar = func(in *input) scalar { return scalar{kind: kindNumber, i: r.input(in).rec.Offset} }
	case "timestamp":
		r.value = func(in *input) any { return r.input(in).rec.Time.UTC() }
		c.uses(rooted(name, original), r)
		return c.fromInput(n, kindTime, func(env any) any { return r.value(env.(*input)) })
	case "headers":
		r.value = func(in *input) any { return r.input(in).allHeaders() }
		c.uses(rooted(name, original), r)
		return c.fromInput(n, kindObject, func(env any) any { return r.value(env.(*input)) })
	}
	if r.value == nil {
		r.value = func(in *input) any { return r.scalar(in).value() }
	}
	c.uses(rooted(name, original), r)
	return c.reference(n, k, r)
}

// reading sets a ref to what bytes returns: text, or null for nil.
func (c *compilation) reading(r *ref, bytes func(*input) []byte) {
	r.scalar = func(in *input) scalar { return viewOrNull(bytes(r.input(in))) }
	r.value = func(in *input) any { return in.textOrNull(bytes(r.input(in))) }
}

func (c *compilation) reference(n ast.Node, k kind, r *ref) term {
	t := c.fromInput(n, k, func(env any) any { return r.value(env.(*input)) })
	t.ref = r
	return t
}

// format is how the payload of the record, or of the original, is read.
func (c *compilation) format(original bool) Format {
	if original && c.scope.parent != nil {
		return c.scope.parent.options.Format
	}
	return c.scope.options.Format
}

// path is a constant path into a JSON payload.
func (c *compilation) path(n ast.Node, original bool, steps []step) term {
	paths := c.scope.paths
	if original && c.scope.parent != nil {
		paths = c.scope.parent.paths
	}
	r := &ref{slot: paths.add(steps), original: original}
	r.scalar = func(in *input) scalar { return r.input(in).scalar(r.slot) }
	r.value = func(in *input) any { return r.input(in).value(r.slot) }
	c.uses(pathText(rooted("payload", original), steps), r)
	return c.reference(n, kindAny, r)
}

// payloadPath takes a node apart where it is a constant path into a JSON payload.
func (c *compilation) payloadPath(n ast.Node) (original bool, steps []step, ok bool) {
	switch n := n.(type) {
	case *ast.ChainNode:
		return c.payloadPath(n.Node)
	case *ast.IdentifierNode:
		ok = n.Value == "payload" && !slices.Contains(c.variables, n.Value)
		return false, nil, ok && c.format(false) == FormatJSON && slices.Contains(c.scope.names(), "payload")
	case *ast.MemberNode:
		if name, isText := n.Property.(*ast.StringNode); isText && name.Value == "payload" &&
			c.isName(n.Node, "source") {
			return true, nil, c.format(true) == FormatJSON && slices.Contains(c.scope.names(), "source")
		}
		if original, steps, ok = c.payloadPath(n.Node); !ok {
			return false, nil, false
		}
		switch p := n.Property.(type) {
		case *ast.StringNode:
			return original, append(steps, step{name: p.Value, index: -1}), true
		case *ast.IntegerNode:
			_, big := c.big[p.Location().From]
			return original, append(steps, step{index: p.Value}), p.Value >= 0 && !big
		}
	}
	return false, nil, false
}

func (c *compilation) isName(n ast.Node, name string) bool {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	id, ok := n.(*ast.IdentifierNode)
	return ok && id.Value == name && !slices.Contains(c.variables, name)
}

// member is a.b, a["b"] or a[1].
func (c *compilation) member(n *ast.MemberNode) term {
	name, named := n.Property.(*ast.StringNode)
	switch {
	case c.isName(n.Node, "env"):
		return c.variable(n, name)
	case c.isName(n.Node, "source") && named:
		if !c.offered(n.Node, "source") {
			return c.wrong(n)
		}
		if name.Value == "source" || !slices.Contains(recordNames, name.Value) {
			c.find(n.Property, CodeUnknownName, "unknown name source."+name.Value,
				"there are source.payload, source.key, source.headers and the like")
			return c.wrong(n)
		}
		if name.Value == "payload" && c.format(true) == FormatBytes {
			c.find(n.Property, CodeNotOffered, "there is no payload with format: bytes",
				"use source.value, the raw text")
			return c.wrong(n)
		}
		return c.sourcePart(n, name.Value)
	case c.isHeaders(n.Node) && named:
		if original := !c.isName(n.Node, "headers"); c.offered(n.Node, "headers") {
			return c.header(n, name.Value, original)
		}
		return c.wrong(n)
	}
	if original, steps, ok := c.payloadPath(n); ok {
		if !c.offered(n, "payload") {
			return c.wrong(n)
		}
		return c.path(n, original, steps)
	}
	base, key := c.expr(n.Node), c.expr(n.Property)
	if c.failed() {
		return c.wrong(n)
	}
	return c.fetch(n, base, key)
}

// sourcePart is source.x; its payload may exist where the record's own does not.
func (c *compilation) sourcePart(n ast.Node, name string) term {
	if name == "payload" && c.format(true) == FormatJSON {
		return c.path(n, true, nil)
	}
	if name == "payload" {
		name = "value"
	}
	return c.part(n, name, true)
}

func (c *compilation) isHeaders(n ast.Node) bool {
	if m, ok := n.(*ast.MemberNode); ok && c.isName(m.Node, "source") {
		p, ok := m.Property.(*ast.StringNode)
		return ok && p.Value == "headers" && slices.Contains(c.scope.names(), "source")
	}
	return c.isName(n, "headers")
}

func (c *compilation) header(n ast.Node, name string, original bool) term {
	r := &ref{slot: -1, original: original}
	c.reading(r, func(in *input) []byte { return in.header(name) })
	c.uses(pathText(rooted("headers", original), []step{{name: name, index: -1}}), r)
	return c.reference(n, kindAny, r)
}

// variable is env.NAME.
func (c *compilation) variable(n *ast.MemberNode, name *ast.StringNode) term {
	if name == nil {
		c.find(n.Property, CodeNotConstant, "the name of an environment variable must be constant", "write env.NAME")
		return c.wrong(n)
	}
	constants := c.scope.options.Constants
	if constants.Env != nil {
		if v, set := constants.Env(name.Value); set {
			if handlers.SecretVariable(name.Value) {
				c.reveals(v)
			}
			return c.constantTerm(n, v)
		}
	}
	switch {
	case constants.Skip:
		return c.constantTerm(n, unknown{})
	case c.defaulted > 0 || c.lenient > 0:
		return c.constantTerm(n, nil)
	}
	c.find(n, CodeUnset, fmt.Sprintf("the environment variable %s is not set", name.Value),
		fmt.Sprintf(`set it, or give a default: env.%s ?? "…"`, name.Value))
	return c.wrong(n)
}

// file is file("path").
func (c *compilation) file(n *ast.CallNode) term {
	if len(n.Arguments) != 1 {
		c.find(n, CodeArguments, "file takes one path", "")
		return c.wrong(n)
	}
	path := c.expr(n.Arguments[0])
	name, ok := path.value.(string)
	switch constants := c.scope.options.Constants; {
	case c.failed():
		return c.wrong(n)
	case path.isUnknown():
		return path
	case !path.constant || !ok:
		c.find(n.Arguments[0], CodeNotConstant, "the path of file(...) must be constant text", "")
		return c.wrong(n)
	case constants.File == nil:
		c.find(n, CodeNotOffered, "file(...) cannot be used here", "")
		return c.wrong(n)
	default:
		text, err := constants.File(name)
		if c.secret = true; err == nil {
			c.reveals(text)
		}
		switch {
		case err != nil && constants.Skip:
			return c.constantTerm(n, unknown{})
		case err != nil && c.lenient > 0:
			return c.constantTerm(n, nil)
		case err != nil:
			c.find(n, CodeFile, err.Error(), "")
			return c.wrong(n)
		}
		return c.constantTerm(n, text)
	}
}
