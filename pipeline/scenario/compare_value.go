package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// word compares text, and tells whether it is as expected.
func (c *comparison) word(n plan.Named, what, got, hint string) bool {
	if text(n.JSON) == got {
		return true
	}
	c.differ(n.Path, what, n.JSON, quoted(got), hint)
	return false
}

// textOrNull compares bytes that may not be there with text or null.
func (c *comparison) textOrNull(n plan.Named, what string, got []byte, there bool, hint string) {
	have := []byte("null")
	if there {
		have = quoted(string(got))
	}
	if string(n.JSON) != string(have) {
		c.differ(n.Path, what, n.JSON, have, hint)
	}
}

func (c *comparison) contains(n plan.Named, what string, err error) {
	if err == nil {
		err = errors.New("")
	}
	if !strings.Contains(err.Error(), text(n.JSON)) {
		c.differ(n.Path, what+" does not hold this text", n.JSON, quoted(err.Error()), "")
	}
}

func (c *comparison) count(n plan.Named, what string, got int, hint string) {
	if have := strconv.Itoa(got); have != string(n.JSON) {
		c.differ(n.Path, what, n.JSON, []byte(have), hint)
	}
}

// payload compares a value whole; the place is that of the first part that
// differs.
func (c *comparison) payload(n plan.Named, what string, got []byte) {
	switch {
	case got == nil:
		got = []byte("null")
	case string(n.JSON) == "null":
		c.differ(n.Path, what+" is no tombstone", n.JSON, quoted(string(got)),
			"null is a tombstone; the text null is expected with value: 'null'")
		return
	}
	want, have := parse(n.JSON), parse(got)
	if have == nil && string(got) != "null" {
		c.differ(n.Path, what+" is no JSON", n.JSON, quoted(string(got)), "compare its text with value: …")
		return
	}
	if path, ok := firstDifference(n.Path, want, have); ok {
		c.differ(path, what+within(n.Path, path), n.JSON, got, "")
	}
}

// headers compares those that are named.
func (c *comparison) headers(n plan.Named, what string, r *handlers.Record, request any) {
	want, _ := parse(n.JSON).(map[string]any)
	for _, name := range sortedKeys(want) {
		have, there := r.Header(name)
		expected := textOf(want[name])
		switch {
		case want[name] == nil && !there, want[name] != nil && there && expected == string(have):
			continue
		}
		hint := ""
		if shown, ok := parse(marshal(request)).(map[string]any); ok && !there {
			if sent, ok := shown["headers"].(map[string]any); ok && sent[name] != nil && shown["method"] != nil {
				hint = "the request has this header: expect it under request: {headers: …}"
			}
		}
		got := []byte("null")
		switch {
		case there:
			got = quoted(seen(name, string(have)))
		}
		wanted := []byte("null")
		if want[name] != nil {
			wanted = quoted(seen(name, expected))
		}
		c.differ(n.Path.Field(name), what+"."+name, wanted, got, hint)
	}
}

// seen is what may be seen of a header.
func seen(name, value string) string {
	if handlers.SecretName(name) {
		return handlers.Redacted
	}
	return value
}

// textOf is a header's value: text, or bytes as base64.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		var h struct {
			Base64 []byte `json:"base64"`
		}
		_ = json.Unmarshal(marshal(v), &h) // it was checked when it was decoded
		return string(h.Base64)
	default:
		return ""
	}
}

// request compares what is named of a request, a body of JSON as JSON. What is
// compared is the request as the sink sends it, what is shown lacks secrets.
func (c *comparison) request(n plan.Named, what string, w *write) {
	want, _ := parse(n.JSON).(map[string]any)
	shown, ok := parse(marshal(w.shown())).(map[string]any)
	if !ok {
		c.differ(n.Path, what, n.JSON, marshal(w.shown()), "")
		return
	}
	sent := shown
	switch r := w.request.(type) {
	case handlers.Discloser:
		sent, _ = parse(marshal(r.Disclose())).(map[string]any)
	case *handlers.Record:
		sent, _ = parse(marshal(r)).(map[string]any)
	}
	for _, name := range sortedKeys(want) {
		got, there := c.part(n.Path, what, want, sent, shown, name)
		named, isMap := want[name].(map[string]any)
		headers, ok := got.(map[string]any)
		switch {
		case !there:
		case isMap && ok && name == "headers":
			visible, _ := shown[name].(map[string]any)
			for _, header := range sortedKeys(named) {
				as := spelled(header, headers)
				wanted := map[string]any{as: named[header]}
				if value, there := c.part(n.Path.Field(name), what+".headers", wanted, headers, visible, as); there {
					c.same(n.Path.Field(name).Field(header), what+".headers."+header, named[header], value, visible[as])
				}
			}
		default:
			c.same(n.Path.Field(name), what+"."+name, want[name], unfolded(want[name], got),
				unfolded(want[name], shown[name]))
		}
	}
}

// spelled is a header's name as the request has it: case does not matter.
func spelled(header string, headers map[string]any) string {
	for _, name := range sortedKeys(headers) {
		if strings.EqualFold(name, header) {
			return name
		}
	}
	return header
}

// part is a named part of what was sent; where there is none, that is reported
// unless null is expected.
func (c *comparison) part(path diag.Path, what string, want, sent, shown map[string]any, name string) (any, bool) {
	got, there := sent[name]
	switch {
	case want[name] == nil:
		c.same(path.Field(name), what+"."+name, nil, got, shown[name])
		return nil, false
	case there:
		return got, true
	}
	names := sortedKeys(sent)
	hint := "it has " + strings.Join(names, ", ")
	if near := diag.Nearest(name, names); near != "" {
		hint = "did you mean " + strconv.Quote(near) + "?"
	}
	c.add(Failure{Path: path.Field(name), Message: fmt.Sprintf("%s has no %s", what, name), Hint: hint})
	return nil, false
}

// unfolded is what a text holds that is JSON, where no text is expected.
func unfolded(want, got any) any {
	text, isText := got.(string)
	if _, wantsText := want.(string); !isText || wantsText {
		return got
	}
	if v := parse([]byte(text)); v != nil {
		return v
	}
	return got
}

// same compares two values whole. Shown is what can be shown of what was got,
// which is as good as that itself.
func (c *comparison) same(path diag.Path, what string, want, got, shown any) {
	if _, differs := firstDifference(path, want, shown); !differs {
		return
	}
	if at, ok := firstDifference(path, want, got); ok {
		if shown == handlers.Redacted {
			want = shown
		}
		c.differ(at, what+within(path, at), marshal(want), marshal(shown), "")
	}
}

// firstDifference is where two values differ first, and whether they do.
func firstDifference(path diag.Path, want, got any) (diag.Path, bool) {
	switch want := want.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			return path, true
		}
		for _, name := range sortedKeys(want) {
			value, there := have[name]
			if !there {
				return path.Field(name), true
			}
			if at, ok := firstDifference(path.Field(name), want[name], value); ok {
				return at, true
			}
		}
		return path, len(have) != len(want)
	case []any:
		have, ok := got.([]any)
		if !ok {
			return path, true
		}
		for i := range min(len(want), len(have)) {
			if at, ok := firstDifference(path.Item(i), want[i], have[i]); ok {
				return at, true
			}
		}
		return path, len(have) != len(want)
	case json.Number:
		have, ok := got.(json.Number)
		return path, !ok || !sameNumber(want.String(), have.String())
	default:
		return path, want != got
	}
}

// sameNumber compares numbers exactly, 1.0 with 1 too. Those that would need much
// memory are compared as text.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if tooLong(a) || tooLong(b) {
		return false
	}
	x, ok := new(big.Rat).SetString(a)
	y, fine := new(big.Rat).SetString(b)
	return ok && fine && x.Cmp(y) == 0
}

func tooLong(number string) bool {
	i := strings.IndexAny(number, "eE")
	return len(number) > 400 || i >= 0 && len(number)-i > len("e+400")
}

// within is how a path goes on behind another.
func within(outer, path diag.Path) string { return strings.TrimPrefix(string(path), string(outer)) }

// parse is JSON with numbers as they are written; nil where it is none.
func parse(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	return v
}

// text is a JSON text without its quotes; of other JSON it is that itself.
func text(data []byte) string {
	if s, ok := parse(data).(string); ok {
		return s
	}
	return string(data)
}

func quoted(s string) []byte { return []byte(yamlconf.JSONText(s)) }

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// pretty is JSON over several lines, keys in order; other text as it is.
func pretty(data []byte) string {
	v := parse(data)
	if v == nil {
		return string(data)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return string(data)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
