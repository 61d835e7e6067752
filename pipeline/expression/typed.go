package expression

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// checker infers the type of every part of an expression from what is known of
// the record, and reports the first part that cannot be meant: an unknown field,
// an operator that can never take its operands, a comparison that is always
// false. It walks the tree as the parser made it. What runs is the same with it
// or without.
//
// It is quiet wherever it does not know: null is never held against an operand,
// since a field that is missing today may come tomorrow, and what was reported
// once counts as unknown further up.
type checker struct {
	*compilation
	variableTypes []variableType
	// elements are the types of # in the predicates around the node at hand.
	elements []element
	facts    []fact
	// made numbers the predicates, so that facts of one are not those of another.
	made    int
	errors  []Finding
	warning []Finding
}

type variableType struct {
	name string
	Type
}

type element struct {
	Type
	id int
}

// check reports at most one finding: the first error, else the first warning.
func (c *compilation) check(root ast.Node) typed {
	k := &checker{compilation: c, facts: c.scope.facts}
	t := k.of(root)
	switch {
	case len(k.errors) > 0:
		c.findings = append(c.findings, k.errors[0])
	case len(k.warning) > 0:
		c.findings = append(c.findings, k.warning[0])
	}
	k.facts = nil
	return typed{t, k.implied(root, true)}
}

// of is the type of a node, and AnyType where there can be no value: whatever
// made it so has been reported.
func (k *checker) of(n ast.Node) Type {
	if k.visited++; k.visited > 30*maxNodes {
		return AnyType()
	}
	t, constant := k.constantType(n)
	if !constant {
		t = k.infer(n)
	}
	if path, ok := k.path(n); ok {
		for _, f := range k.facts {
			if f.path == path {
				t = t.Meet(f.is)
			}
		}
	}
	if t.Nothing() {
		return AnyType()
	}
	return t
}

func (k *checker) infer(n ast.Node) Type {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return k.nameType(n.Value, false)
	case *ast.PointerNode:
		return k.pointerType(n)
	case *ast.ChainNode:
		return k.of(n.Node)
	case *ast.MemberNode:
		return k.memberType(n)
	case *ast.SliceNode:
		return k.sliceType(n)
	case *ast.UnaryNode:
		return k.unaryType(n)
	case *ast.BinaryNode:
		return k.binaryType(n)
	case *ast.CallNode:
		return k.callType(n)
	case *ast.BuiltinNode:
		return k.builtinType(n)
	case *ast.ConditionalNode:
		return k.conditionalType(n)
	case *ast.VariableDeclaratorNode:
		k.variableTypes = append(k.variableTypes, variableType{n.Name, k.of(n.Value)})
		t := k.of(n.Expr)
		k.variableTypes = k.variableTypes[:len(k.variableTypes)-1]
		return t
	case *ast.SequenceNode:
		var t Type
		for _, kid := range n.Nodes {
			t = k.of(kid)
		}
		return t
	case *ast.ArrayNode:
		items := make([]Type, len(n.Nodes))
		for i, kid := range n.Nodes {
			items[i] = k.of(kid)
		}
		return tupleType(items)
	case *ast.MapNode:
		return k.mapNodeType(n)
	default:
		return AnyType()
	}
}

// constantType is the type of what was computed when the expression was
// compiled. What comes from the environment or a file may differ elsewhere, so
// that only its kind counts.
func (k *checker) constantType(n ast.Node) (Type, bool) {
	v, ok := k.constants[n]
	if !ok {
		return k.literalType(n)
	}
	t := LiteralType(v)
	if k.fromOutside(n) {
		switch {
		case !isOutside(n):
			// The value is not what its parts are held against one another for.
			k.infer(n)
		case v != nil && v != any(unknown{}):
			return Type{kinds: isText}, true
		}
		if _, nested := v.([]any); nested || v == nil {
			return AnyType(), true
		}
		t.texts, t.numbers = nil, nil
		if t.kinds&^isBool == 0 {
			t.kinds = isBool
		}
	}
	return t, true
}

// literalType is the type of a literal that was not compiled by itself.
func (k *checker) literalType(n ast.Node) (Type, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return LiteralType(n.Value), true
	case *ast.BoolNode:
		return LiteralType(n.Value), true
	case *ast.FloatNode:
		return LiteralType(n.Value), true
	case *ast.IntegerNode:
		if _, big := k.big[n.Location().From]; big {
			return Type{kinds: isNumber}, true
		}
		return LiteralType(int64(n.Value)), true
	}
	return Type{}, false
}

// isOutside tells whether a node is env.NAME or file(...) itself, which is text.
func isOutside(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ChainNode:
		return isOutside(n.Node)
	case *ast.MemberNode:
		id, ok := n.Node.(*ast.IdentifierNode)
		return ok && id.Value == "env"
	case *ast.CallNode:
		id, ok := n.Callee.(*ast.IdentifierNode)
		return ok && id.Value == "file"
	}
	return false
}

// fromOutside tells whether env or file(...) are a part of the node.
func (k *checker) fromOutside(n ast.Node) bool {
	if id, ok := n.(*ast.IdentifierNode); ok && (id.Value == "env" || id.Value == "file") {
		return true
	}
	for _, kid := range children(n) {
		if k.fromOutside(kid) {
			return true
		}
	}
	return false
}

// nameType is the type of a variable or of a part of the record.
func (k *checker) nameType(name string, original bool) Type {
	for i := len(k.variableTypes) - 1; i >= 0 && !original; i-- {
		if k.variableTypes[i].name == name {
			return k.variableTypes[i].Type
		}
	}
	textOrNull := Type{kinds: isText | isNull}
	switch name {
	case "payload":
		return k.payloadType(original)
	case "key", "value":
		return textOrNull
	case "headers":
		return mapType(textOrNull)
	case "topic":
		return Type{kinds: isText, texts: k.scope.options.Topics}
	case "partition", "offset":
		return Type{kinds: isNumber}.Range(&Limit{At: 0}, nil)
	case "timestamp":
		return Type{kinds: isTime}
	default:
		return AnyType()
	}
}

func (k *checker) payloadType(original bool) Type {
	s := k.scope
	if original && s.parent != nil {
		s = s.parent
	}
	switch {
	case s.options.Format != FormatJSON:
		return Type{kinds: isText | isNull}
	case s.payload != nil:
		return *s.payload
	default:
		return JSONType()
	}
}

func (k *checker) pointerType(n *ast.PointerNode) Type {
	switch {
	case n.Name == "index":
		return Type{kinds: isNumber}.Range(&Limit{At: 0}, nil)
	case n.Name == "" && len(k.elements) > 0:
		return k.elements[len(k.elements)-1].Type
	default:
		return AnyType()
	}
}

func (k *checker) conditionalType(n *ast.ConditionalNode) Type {
	cond := k.of(n.Cond)
	k.needsTruth(n.Cond, cond, "?:")
	var t Type
	if v, constant := k.constants[n.Cond]; !constant || v == true || v == any(unknown{}) {
		t = k.under(k.implied(n.Cond, true), n.Exp1)
	}
	if v, constant := k.constants[n.Cond]; !constant || v != true {
		t = t.Union(k.under(k.implied(n.Cond, false), n.Exp2))
	}
	return t
}

// under is the type of a node where some facts hold.
func (k *checker) under(facts []fact, n ast.Node) Type {
	before := len(k.facts)
	k.facts = append(k.facts[:before:before], facts...)
	t := k.of(n)
	k.facts = k.facts[:before]
	return t
}

func (k *checker) mapNodeType(n *ast.MapNode) Type {
	fields, exact := map[string]Type{}, true
	var all Type
	for _, kid := range n.Pairs {
		pair := kid.(*ast.PairNode)
		key, value := k.of(pair.Key), k.of(pair.Value)
		all = all.Union(value)
		name, constant := pair.Key.(*ast.StringNode)
		if !constant {
			exact = false
			k.accepts(pair.Key, key, isText, "an object's key must be text")
			continue
		}
		fields[name.Value] = value
	}
	if exact {
		return recordType(fields)
	}
	return mapType(all)
}

// needsTruth reports an operand that can be neither true nor false.
func (k *checker) needsTruth(n ast.Node, t Type, operator string) {
	if t.solid() == 0 || t.kinds&isBool != 0 {
		return
	}
	k.report(n, CodeType, k.says(n, t)+": "+operator+" needs true or false", truthHint(k.text(n), t))
}

// truthHint is what a value that is no boolean was probably meant to be asked.
func truthHint(text string, t Type) string {
	switch solid := t.solid(); {
	case len(t.texts) == 1 || len(t.numbers) == 1:
		return ""
	case solid == isList:
		return "ask for its length: len(" + text + ") > 0"
	case solid == isNumber:
		return "compare it: " + text + " > 0"
	case solid == isText:
		return "compare it: " + text + ` == "…"`
	case solid == isObject:
		return "ask whether it is there: " + text + " != nil"
	default:
		return ""
	}
}

// accepts reports an operand of which no kind is taken.
func (k *checker) accepts(n ast.Node, t Type, want kinds, why string) bool {
	if t.solid() == 0 || t.kinds&want != 0 {
		return true
	}
	k.report(n, CodeType, k.says(n, t)+": "+why, k.conversion(n, t, want))
	return false
}

// says is "payload.total is a number".
func (k *checker) says(n ast.Node, t Type) string {
	text := k.text(n)
	if strings.HasPrefix(text, "#") && len(text) == 1 {
		text = "an element"
	}
	return text + " is " + t.String()
}

// conversion is how text becomes a number or a time, and the like.
func (k *checker) conversion(n ast.Node, t Type, want kinds) string {
	text := k.text(n)
	fromText := t.solid()&isText != 0
	switch {
	case want&isNumber != 0 && t.solid() == isText:
		return "read it as a number: int(" + text + ") or float(" + text + ")"
	case want&isTime != 0 && fromText:
		return "read it as a time: date(" + text + ")"
	case want&isDuration != 0 && fromText:
		return "read it as a duration: duration(" + text + ")"
	case want == isText && t.solid()&^(isNumber|isBool|isTime|isDuration) == 0:
		return "make it text: string(" + text + ")"
	default:
		return ""
	}
}

func (k *checker) report(n ast.Node, code, message, hint string) {
	s := k.extent(n)
	k.reportAt(s.from, s.to, code, message, hint)
}

func (k *checker) reportAt(from, to int, code, message, hint string) {
	k.errors = append(k.errors, Finding{Offset: from, End: to, Code: code, Message: message, Hint: hint})
}

// suspect reports what is legal and hardly meant.
func (k *checker) suspect(n ast.Node, code, message, hint string) {
	s := k.extent(n)
	k.warning = append(k.warning, Finding{Offset: s.from, End: s.to, Warning: true, Code: code, Message: message,
		Hint: hint})
}

// mend sets the Fix of the last error: with in the place of from..to.
func (k *checker) mend(from, to int, with string) {
	k.errors[len(k.errors)-1].Fix = k.source[:from] + with + k.source[to:]
}

func (k *checker) mendNode(n ast.Node, with string) {
	s := k.extent(n)
	k.mend(s.from, s.to, with)
}
