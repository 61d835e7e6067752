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

// elsewhere are functions of other languages and what they are here.
var elsewhere = map[string]string{
	"length": "len(…)", "size": "len(…)", "len": "len(…)", "toLowerCase": "lower(…)", "toUpperCase": "upper(…)",
	"toLower": "lower(…)",
	"toUpper": "upper(…)", "lowercase": "lower(…)", "uppercase": "upper(…)", "strip": "trim(…)",
	"has": "in", "exists": "!= nil", "exist": "!= nil", "isset": "!= nil", "defined": "!= nil", "isNull": "== nil",
	"is_null": "== nil",
	"isnull":  "== nil", "isNotNull": "!= nil", "isEmpty": `== ""`, "str": "string(…)",
	"coalesce": `??, as in payload.a ?? "…"`,
	"ifnull":   `??, as in payload.a ?? "…"`, "default": `??, as in payload.a ?? "…"`,
	"nvl":      `??, as in payload.a ?? "…"`,
	"parseInt": "int(…)", "parseFloat": "float(…)", "number": "float(…)", "Number": "float(…)", "String": "string(…)",
	"substr":    "[from:to]",
	"substring": "[from:to]", "slice": "[from:to]", "match": "matches", "test": "matches", "regex": "matches",
	"Local":    "UTC() or In(timezone(…))",
	"toString": "string(…)", "typeof": "type(…)", "typeOf": "type(…)", "some": "any(…)", "every": "all(…)",
	"toISOString": "string(…)",
	"includes":    "contains, or in for lists", "contains": "contains between the two",
	"startsWith": "startsWith between the two",
	"endsWith":   "endsWith between the two", "startswith": "startsWith", "endswith": "endsWith",
	"concat_ws": "join(…)",
	"sprintf":   "format(…)", "printf": "format(…)", "Sprintf": "format(…)", "regexReplace": "replaceAll(…)",
	"regexp_replace": "replaceAll(…)", "re_replace_all": "replaceAll(…)",
	"encodeURIComponent": "urlEncode(…)", "encodeURI": "urlEncode(…)", "decodeURIComponent": "urlDecode(…)",
	"hmacSha256": "hmac(…)", "hmac_sha256": "hmac(…)",
	"uuidv5": "uuid5(…)", "uuid_v5": "uuid5(…)", "crc32b": "crc32(…)", "getTime": "UnixMilli()",
}

// between are methods of text elsewhere that are operators here.
var between = map[string]string{
	"contains": "contains", "includes": "contains", "startsWith": "startsWith", "endsWith": "endsWith",
	"startswith": "startsWith",
	"endswith":   "endsWith", "matches": "matches", "match": "matches", "equals": "==", "eq": "==",
}

// impure are functions that answer differently each time, and what there is
// instead.
var impure = map[string]string{
	"now": ownTime, "today": ownTime, "time": ownTime, "current_timestamp": ownTime, "currentTime": ownTime,
	"currentTimeMillis": ownTime, "utcnow": ownTime,
	"random": ownPart, "rand": ownPart, "randInt": ownPart, "randomInt": ownPart, "Random": ownPart,
	"uuid": ownName, "uuidv4": ownName, "uuid_v4": ownName, "uuid4": ownName, "nanoid": ownName, "ulid": ownName,
	"ksuid": ownName, "guid": ownName, "randomUUID": ownName,
}

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
	s := c.span(n)
	if c.refuseImpure(s.from, name) {
		return
	}
	names := append(slices.Sorted(maps.Keys(builtins)), slices.Sorted(maps.Keys(predicateNames))...)
	message, hint, put := "unknown function "+strconv.Quote(name), "", ""
	var args []ast.Node
	if call, ok := n.(*ast.CallNode); ok {
		args = call.Arguments
	}
	if written := c.operatorCalled(name, args); written != "" {
		hint = "write " + shorten(written)
	} else if partHint, with := c.partCalled(name, args); partHint != "" {
		e := c.extent(n)
		c.findAt(s.from, min(s.to, s.from+len(name)), CodeUnknownFunction, message, partHint)
		c.fix(e.from, max(e.to, c.closed(s.from)), with)
		return
	} else if here := elsewhere[name]; here != "" {
		hint = "here it is " + here
		if with, ok := strings.CutSuffix(here, "(…)"); ok {
			put = with
		}
	} else if near := diag.Nearest(name, append(names, "file")); near != "" {
		hint, put = fmt.Sprintf("did you mean %q?", near), near
	} else if slices.Contains(recordNames, name) {
		hint = name + " is no function: write it without ( )"
	}
	to := min(s.to, s.from+len(name))
	c.findAt(s.from, to, CodeUnknownFunction, message, hint)
	if put != "" && c.source[s.from:to] == name {
		c.fix(s.from, to, put)
	}
}

// closed is where the brackets end that begin at i, at the earliest i.
func (c *compilation) closed(i int) int {
	for depth := 0; i < len(c.source); i++ {
		switch c.source[i] {
		case '"', '\'', '`':
			i = stringEndQuoted(c.source, i)
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// unknownMethod finds text.method() as other languages have it.
func (c *compilation) unknownMethod(n *ast.CallNode, on ast.Node, name string) {
	s, at := c.extent(n), c.byteAt(n.Location().From)
	s.to = max(s.to, c.closed(at+len(name)))
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
