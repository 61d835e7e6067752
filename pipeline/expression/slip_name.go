package expression

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/pipeline/diag"
)

// wrappers are what the payload, or the record, is called elsewhere.
var wrappers = []string{"this", "root", "json", "body", "data", "event", "message", "msg", "record", "doc", "$", "it",
	"value_json"}

// hyphened is a field with a hyphen, which reads as a subtraction.
var hyphened = regexp.MustCompile(`\.([A-Za-z_][\w]*-)$`)

func (c *compilation) unknownName(n ast.Node, name string) {
	s := c.span(n)
	message, hint, put := "unknown name "+strconv.Quote(name), "", ""
	nearest := diag.Nearest(name, append(c.scope.names(), c.variables...))
	payload := slices.Contains(c.scope.names(), "payload")
	switch lower := strings.ToLower(name); {
	case slices.Contains([]string{"null", "none", "undefined", "nan"}, lower) || name == "Nil" || name == "NIL":
		hint, put = "write nil", "nil"
	case lower == "true" || lower == "false":
		hint, put = "write "+lower, lower
	case name == "$env":
		message = "$env cannot be used"
	case c.hyphen(s, name):
		return
	case nearest != "":
		hint, put = fmt.Sprintf("did you mean %q?", nearest), nearest
	case c.scope.static && strings.ToUpper(name) == name:
		hint, put = "an environment variable is env."+name, "env."+name
	case c.scope.static:
		hint = fmt.Sprintf("text needs quotes: %q", name)
	case c.predicates > 0:
		hint = fmt.Sprintf("a field of the element is .%s; text needs quotes: %q", name, name)
	case slices.Contains(wrappers, lower) && payload:
		hint = "the decoded value is payload; beside it there are key, headers, topic, timestamp and the like"
	default:
		hint = fmt.Sprintf("text needs quotes: %q; a field of the payload is payload.%s", name, name)
	}
	c.findAt(s.from, s.to, CodeUnknownName, message, hint)
	if put != "" {
		c.fix(s.from, s.to, put)
	}
}

// hyphen finds payload.order-id.
func (c *compilation) hyphen(s span, name string) bool {
	m := hyphened.FindStringSubmatchIndex(c.source[:s.from])
	if m == nil {
		return false
	}
	field := c.source[m[2]:m[3]] + name
	c.findAt(m[2], s.to, CodeUnknownName, field+" is read as a subtraction",
		fmt.Sprintf("a name with - is written [%q]", field))
	c.fix(m[0], s.to, fmt.Sprintf("[%q]", field))
	return true
}

// templateText finds text that looks like a template: nothing is put into it.
func (c *compilation) templateText(n *ast.StringNode) {
	if c.replaces {
		return // ${1} is a group there
	}
	from := strings.Index(n.Value, "${")
	if from < 0 || closing(n.Value, from+2) < 0 {
		return
	}
	const message = "nothing is put into the text of an expression"
	inner, whole := strings.CutPrefix(n.Value, "${")
	if !whole || closing(n.Value, 2) != len(n.Value)-1 {
		c.find(n, CodeTemplateText, message, `join it with +: "orders-" + payload.id`)
		c.findings[len(c.findings)-1].Warning = true
		return
	}
	inner = strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	c.find(n, CodeTemplateText, message, "write it without quotes and ${ }: "+shorten(inner))
	s := c.extent(n)
	c.fix(s.from, s.to, inner)
}

// spelled turns what there is here, with the words that others have for it, around.
func spelled(words map[string]string) map[string]string {
	by := map[string]string{}
	for here, others := range words {
		for _, other := range strings.Fields(others) {
			by[other] = here
		}
	}
	return by
}

// elsewhere are functions of other languages and what they are here.
var elsewhere = spelled(map[string]string{
	"len(…)": "length size len", "lower(…)": "toLowerCase toLower lowercase",
	"upper(…)": "toUpperCase toUpper uppercase", "trim(…)": "strip", "in": "has",
	"!= nil": "exists exist isset defined isNotNull", "== nil": "isNull is_null isnull", `== ""`: "isEmpty",
	`??, as in payload.a ?? "…"`: "coalesce ifnull default nvl", "string(…)": "str String toString toISOString",
	"int(…)": "parseInt", "float(…)": "parseFloat number Number", "[from:to]": "substr substring slice",
	"matches": "match test regex", "UTC() or In(timezone(…))": "Local", "type(…)": "typeof typeOf",
	"any(…)": "some", "all(…)": "every", "contains, or in for lists": "includes",
	"contains between the two": "contains", "startsWith between the two": "startsWith startswith",
	"endsWith between the two": "endsWith endswith", "join(…)": "concat_ws", "format(…)": "sprintf printf Sprintf",
	"replaceAll(…)": "regexReplace regexp_replace re_replace_all", "urlEncode(…)": "encodeURIComponent encodeURI",
	"urlDecode(…)": "decodeURIComponent", "hmac(…)": "hmacSha256 hmac_sha256", "uuid5(…)": "uuidv5 uuid_v5",
	"crc32(…)": "crc32b", "UnixMilli()": "getTime",
})

// between are methods of text elsewhere that are operators here.
var between = spelled(map[string]string{
	"contains": "contains includes", "startsWith": "startsWith startswith", "endsWith": "endsWith endswith",
	"matches": "matches match", "==": "equals eq",
})

// impure are functions that answer differently each time, and what there is
// instead.
var impure = spelled(map[string]string{
	ownTime: "now today time current_timestamp currentTime currentTimeMillis utcnow",
	ownPart: "random rand randInt randomInt Random",
	ownName: "uuid uuidv4 uuid_v4 uuid4 nanoid ulid ksuid guid randomUUID",
})

const (
	ownTime = "timestamp is the record's own time"
	ownPart = "to take one record in ten: offset % 10 == 0"
	ownName = "topic, partition and offset together name a record once and for all"
)

// refuseImpure finds a clock or chance.
func (c *compilation) refuseImpure(from int, name string) bool {
	hint, ok := impure[name]
	if !ok {
		return false
	}
	c.findAt(from, min(len(c.source), from+len(name)), CodeImpure,
		name+"() cannot be used: what happens to a record must depend on the record and the configuration alone", hint)
	return true
}

func (c *compilation) unknownFunction(n ast.Node, name string) {
	s, all := c.span(n), c.extent(n)
	if c.refuseImpure(s.from, name) {
		return
	}
	var args []ast.Node
	if call, ok := n.(*ast.CallNode); ok {
		args = call.Arguments
	}
	s.to = min(s.to, s.from+len(name))
	hint, put, replaced := "", "", s
	here, operator := elsewhere[name], between[name]
	names := append(slices.Sorted(maps.Keys(builtins)), slices.Sorted(maps.Keys(predicateNames))...)
	near := diag.Nearest(name, append(names, "file"))
	if part := c.partCalled(name, args); part != "" {
		_, closed := arguments(c.source, s.from)
		hint, put, replaced = "write "+part, part, span{all.from, max(all.to, closed)}
	} else if operator != "" && len(args) == 2 {
		hint = "write " + shorten(infix(c.textIn(args[0]), operator, c.textIn(args[1])))
	} else if here != "" {
		hint = "here it is " + here
		put, _ = strings.CutSuffix(here, "(…)")
	} else if near != "" {
		hint, put = fmt.Sprintf("did you mean %q?", near), near
	} else if slices.Contains(recordNames, name) {
		hint = name + " is no function: write it without ( )"
	}
	c.findAt(s.from, s.to, CodeUnknownFunction, "unknown function "+strconv.Quote(name), hint)
	if put != "" && put != here && c.source[s.from:s.to] == name {
		c.fix(replaced.from, replaced.to, put)
	}
}

// partCalled is a part of the record, or a variable, that is called with the name of
// what is looked for in it, as it is written here.
func (c *compilation) partCalled(name string, args []ast.Node) string {
	if len(args) != 1 || c.scope.static && name != "env" {
		return ""
	}
	text, ok := args[0].(*ast.StringNode)
	switch {
	case name == "timestamp":
		return "date(" + c.text(args[0]) + ")"
	case !ok || !slices.Contains([]string{"env", "header", "headers", "payload", "source"}, name):
		return ""
	case name == "header":
		name = "headers"
	}
	if isName(text.Value) {
		return name + "." + text.Value
	}
	return fmt.Sprintf("%s[%q]", name, text.Value)
}

// textIn is a node as it stands in the source.
func (c *compilation) textIn(n ast.Node) string {
	s := c.extent(n)
	return c.source[s.from:s.to]
}

// unknownMethod finds text.method() as other languages have it.
func (c *compilation) unknownMethod(n *ast.CallNode, on ast.Node, name string) {
	s, at := c.extent(n), c.byteAt(n.Location().From)
	_, closed := arguments(c.source, at+len(name))
	s.to = max(s.to, closed)
	if c.refuseImpure(at, name) {
		return
	}
	receiver, args := c.text(on), make([]string, len(n.Arguments))
	for i, a := range n.Arguments {
		args[i] = c.text(a)
	}
	hint, put := "", ""
	operator, isOperator := between[name]
	function := strings.TrimSuffix(elsewhere[name], "(…)")
	if function == elsewhere[name] {
		function = name
	}
	_, known := builtins[function]
	_, predicate := predicateNames[function]
	switch {
	case isOperator && len(args) == 1:
		put = receiver + " " + operator + " " + args[0]
		hint = "write " + put
		if operator == "contains" {
			hint += "; or for a list: " + args[0] + " in " + receiver
		}
	case known:
		put = function + "(" + strings.Join(append([]string{receiver}, args...), ", ") + ")"
		hint = name + " is a function: " + put
		if function != name {
			hint = "here it is " + put
		}
	case predicate:
		hint = function + " is a function: " + function + "(" + receiver + ", …)"
	case elsewhere[name] != "":
		hint = "here it is " + elsewhere[name]
	}
	c.findAt(at, min(s.to, at+len(name)), CodeUnknownFunction, "unknown method "+name, hint)
	// Of contains nobody knows whether text or a list was meant.
	if put != "" && operator != "contains" && s.from <= at {
		if isOperator && strings.TrimSpace(c.source) != c.source[s.from:s.to] {
			put = "(" + put + ")"
		}
		c.fix(s.from, s.to, put)
	}
}
