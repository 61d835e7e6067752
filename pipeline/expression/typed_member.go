package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// memberType is the type of a.b, a["b"] or a[1].
func (k *checker) memberType(n *ast.MemberNode) Type {
	name, named := n.Property.(*ast.StringNode)
	switch {
	case k.isName(n.Node, "env"):
		return AnyType()
	case k.isName(n.Node, "source") && named:
		return k.nameType(name.Value, k.scope.parent != nil)
	}
	base := k.of(n.Node)
	if named {
		return k.fieldType(n, base, name.Value)
	}
	return k.itemType(n, base)
}

func (k *checker) fieldType(n *ast.MemberNode, base Type, name string) Type {
	if base.solid() == 0 {
		return base
	}
	if base.kinds&isObject == 0 {
		k.noFields(n, base, name)
		return AnyType()
	}
	t, presence := base.field(name)
	switch presence {
	case PresenceNever:
		k.unknownField(n, base, name, false)
		return AnyType()
	case PresenceUnlisted, PresenceLoose:
		k.unknownField(n, base, name, presence == PresenceLoose)
	}
	return t
}

// unknownField reports a field that no shape of an object lists.
func (k *checker) unknownField(n *ast.MemberNode, base Type, name string, loose bool) {
	names := base.fieldNames()
	near := diag.Nearest(name, names)
	if loose && near == "" {
		return
	}
	at := k.span(n.Property)
	_, presence := base.field(name)
	f := Finding{Offset: at.from, End: at.to, Code: CodeUnknownField, Warning: presence != PresenceNever,
		Message: fmt.Sprintf("unknown field %q", name)}
	switch base.origin() {
	case originSchema:
		f.Message += ": the topic's schema does not list it"
		if !f.Warning {
			f.Message = strings.Replace(f.Message, "does not list it", "allows no such field", 1)
		}
		f.Hint = "it lists " + few(names)
	case originTransform:
		f.Message += ": transform does not make it"
		f.Hint = "it makes " + few(names)
	default:
		if len(names) > 0 {
			f.Hint = "it has only " + few(names)
		}
	}
	if len(names) == 0 {
		f.Hint = ""
	}
	if near != "" {
		f.Hint = fmt.Sprintf("did you mean %q?", near)
		if isName(near) && k.source[at.from:at.to] == name {
			f.Fix = k.source[:at.from] + near + k.source[at.to:]
		}
	}
	k.hintOriginal(n, &f, near != "")
	if f.Warning {
		k.warning = append(k.warning, f)
	} else {
		k.errors = append(k.errors, f)
	}
}

// hintOriginal says where a field that a transform left behind can be read.
func (k *checker) hintOriginal(n *ast.MemberNode, f *Finding, near bool) {
	path, ok := k.path(n)
	if k.scope.parent == nil || !ok || k.format(true) != FormatJSON || !strings.HasPrefix(path, "payload\x00") ||
		strings.Contains(path, "\x01") {
		return
	}
	t := k.payloadType(true)
	best := PresenceOpen
	for _, name := range strings.Split(path, "\x00")[1:] {
		t, best = t.field(name)
	}
	s := k.extent(n)
	source := "source." + k.source[s.from:s.to]
	switch {
	case best >= PresenceHidden:
		f.Hint = "the original's is " + source
		f.Fix = k.source[:s.from] + source + k.source[s.to:]
	case best == PresenceOpen && !near:
		f.Hint += "; the original's would be " + source
		f.Hint = strings.TrimPrefix(f.Hint, "; ")
	}
}

// noFields reports a field of what is no object.
func (k *checker) noFields(n *ast.MemberNode, base Type, name string) {
	at, whole, text := k.span(n.Property), k.extent(n), k.text(n.Node)
	hint, fix := "", ""
	_, method := methods[name]
	switch solid := base.solid(); {
	case slices.Contains([]string{"length", "size", "len", "count", "Length"}, name) && solid&^(isText|isList) == 0:
		fix = "len(" + text + ")"
		hint = "its length is " + fix
	case solid == isList:
		hint = fmt.Sprintf("its elements may have one: %s[0].%s, map(%s, .%s), any(%s, .%s …)", text, name, text, name,
			text, name)
	case solid&^(isTime|isDuration) == 0 && method:
		hint = "it is a method: " + text + "." + name + "()"
	case solid&^(isTime|isDuration) == 0:
		hint = nearestMethod(text, name)
	case method && solid&isText != 0:
		hint = "read it as a time first: date(" + text + ")." + name + "()"
	case solid == isText && k.isName(n.Node, "value"):
		hint = "fields are read from payload: payload." + name
	case solid == isText:
		hint = "where the text is JSON: fromJSON(" + text + ")." + name
	}
	k.reportAt(at.from, at.to, CodeType, fmt.Sprintf("%s: it has no field %s", k.says(n.Node, base), name), hint)
	if fix != "" {
		k.mend(whole.from, whole.to, fix)
	}
}

func nearestMethod(text, name string) string {
	var names []string
	for m := range methods {
		names = append(names, m)
	}
	slices.Sort(names)
	if near := diag.Nearest(name, names); near != "" {
		return "did you mean " + text + "." + near + "()?"
	}
	return ""
}

// itemType is the type of a[key].
func (k *checker) itemType(n *ast.MemberNode, base Type) Type {
	key := k.of(n.Property)
	if base.solid() == 0 || key.solid() == 0 {
		return AnyType()
	}
	var r Type
	if base.kinds&isObject != 0 && key.kinds&isText != 0 {
		r = r.Union(base.anyField())
	}
	if base.kinds&isList != 0 && key.kinds&isNumber != 0 {
		i := -1
		if literal, ok := n.Property.(*ast.IntegerNode); ok {
			if _, big := k.big[literal.Location().From]; !big {
				i = literal.Value
			}
		}
		r = r.Union(base.item(i))
	}
	switch {
	case base.kinds&(isObject|isList) == 0 && key.kinds&isNumber != 0 && base.solid() == isText:
		text := k.text(n.Node)
		k.report(n.Property, CodeType, k.says(n.Node, base)+": it has no items", "a part of text is "+text+"[from:to]")
	case base.kinds&(isObject|isList) == 0:
		k.report(n.Property, CodeType, k.says(n.Node, base)+": it has no items", "")
	case base.kinds&isList == 0 && key.kinds&isText == 0:
		k.report(n.Property, CodeType, k.says(n.Node, base)+": a field's name must be text, and "+k.says(n.Property,
			key), "")
	case base.kinds&isObject == 0 && key.kinds&isNumber == 0:
		k.report(n.Property, CodeType, k.says(n.Node,
			base)+": an item's index must be a number, and "+k.says(n.Property, key), "")
	case r.Nothing() && key.kinds&(isText|isNumber) == 0:
		k.report(n.Property, CodeType, k.says(n.Property, key)+": only text names a field, and a number an item", "")
	default:
		return r.Union(Type{kinds: isNull})
	}
	return AnyType()
}

// sliceType is the type of a[from:to].
func (k *checker) sliceType(n *ast.SliceNode) Type {
	base := k.of(n.Node)
	k.accepts(n.Node, base, isList|isText, "[:] needs a list or text")
	for _, end := range []ast.Node{n.From, n.To} {
		if end != nil {
			k.accepts(end, k.of(end), isNumber, "[:] needs whole numbers")
		}
	}
	var r Type
	if base.kinds&isText != 0 {
		r = Type{kinds: isText}
	}
	if base.kinds&isList != 0 {
		r = r.Union(listOfType(base.item(-1)))
	}
	return r
}
