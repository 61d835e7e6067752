package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Expect is what is expected of one record.
type Expect struct{ plan.Expectation }

// expectKeys are those of an expectation of one record.
func expectKeys() []testKey {
	return append([]testKey{
		{"outcome", "How the record ends: " + diag.Or(outcome.Endings()) + ".", enumSchema(outcome.Endings())},
		{"reason", "Why, in a word: " + diag.Or(outcome.Reasons()) + ".", enumSchema(outcome.Reasons())},
		{"error", "Text that the record's error holds.", scalarSchema()},
		{"idempotency_key", "The key that guards its effects; null for none.", scalarSchema("null")},
		{"dead_letter", "The dead letter that becomes of it, or a list of them, one a sink.",
			map[string]any{"anyOf": []any{
				schemaOf(letterKeys()), map[string]any{"type": "array", "items": schemaOf(letterKeys())}}}},
		{"writes", "What its sinks are asked to write, one entry a sink, where there are several.",
			map[string]any{"type": "array", "items": schemaOf(writeKeys())}},
	}, writeKeys()...)
}

// writeKeys are those of one write.
func writeKeys() []testKey {
	return []testKey{
		{"sink", "Which sink the keys beside it are about; without it, payload, value, key and headers are compared " +
			"with what every sink is given.", scalarSchema()},
		{"payload", "The value that the sink is given, as YAML, compared whole; null is a tombstone.", nil},
		{"value", "That value's exact text.", scalarSchema()},
		{"key", "The key of the record that the sink is given, of a kafka sink the one that it writes; null for none.",
			scalarSchema("null")},
		{"headers", "Headers of that record; only those named are compared, and null is one that is not there.",
			map[string]any{"type": "object"}},
		{"topic", "The topic that a kafka sink writes to.", scalarSchema()},
		{"request", "What the sink sends, as dry-run shows it: method, url, headers and body of an http sink, path " +
			"and line of a file. Only what is named is compared.", map[string]any{"type": "object"}},
		{"calls", "How often the sink was called.", map[string]any{"type": "integer", "minimum": 0}},
	}
}

// letterKeys are those of a dead letter.
func letterKeys() []testKey {
	return []testKey{
		{"reason", "Why, in a word: " + diag.Or(outcome.Reasons()) + ".", enumSchema(outcome.Reasons())},
		{"stage", "Where: " + diag.Or(outcome.Stages()) + ".", enumSchema(outcome.Stages())},
		{"error", "Text that its last error holds.", scalarSchema()},
		{"attempts", "How often the write was tried.", map[string]any{"type": "integer", "minimum": 0}},
		{"sink", "The sink that could not be written to; null where none was asked.", scalarSchema("null")},
		{"topic", "The topic that it is written to.", scalarSchema()},
		{"payload", "Its value, as YAML, compared whole.", nil},
		{"value", "Its value's exact text.", scalarSchema()},
		{"key", "Its key; null for none.", scalarSchema("null")},
		{"headers", "Headers of it; only those named are compared, and null is one that is not there.",
			map[string]any{"type": "object"}},
		{"idempotency_key", "The key that guards the record's effects; null for none.", scalarSchema("null")},
	}
}

func enumSchema(words []string) map[string]any {
	options := make([]any, len(words))
	for i, w := range words {
		options[i] = w
	}
	return map[string]any{"enum": options}
}

// DecodeYAML takes a map, or just an outcome.
func (c *Expect) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path = n.Path
	switch {
	case n.IsScalar():
		if raw, ok := wordJSON(d, n, "the outcome", outcome.Endings()); ok {
			c.Named = []plan.Named{{Name: "outcome", Path: n.Path, JSON: raw}}
		}
	case n.IsMap():
		c.Expectation = decodeExpectation(d, n, expectKeys())
	default:
		d.WrongType(n, "an outcome, or a map such as {outcome: delivered}")
	}
}

// JSONSchema describes an expectation.
func (c *Expect) JSONSchema(s *yamlconf.Schema) map[string]any {
	return s.Define("test_expectation", func() map[string]any {
		return map[string]any{"anyOf": []any{enumSchema(outcome.Endings()), schemaOf(expectKeys())}}
	})
}

// decodeExpectation takes what is named of what may be.
func decodeExpectation(d *yamlconf.Decoder, n yamlconf.Node, keys []testKey) plan.Expectation {
	e := plan.Expectation{Path: n.Path}
	known := namesOf(keys)
	fields := d.Fields(n)
	for _, f := range fields {
		switch {
		case !slices.Contains(known, f.Name):
			d.UnknownKey(n, f, known)
		case f.Name == "writes":
			e.Writes = decodeExpectations(d, f.Node, writeKeys())
		case f.Name == "dead_letter":
			e.DeadLetters = decodeExpectations(d, f.Node, letterKeys())
		default:
			if raw, ok := expectField(d, f); ok {
				e.Named = append(e.Named, plan.Named{Name: f.Name, Path: f.Node.Path, JSON: raw})
			}
		}
	}
	written := func(name string) bool {
		return slices.ContainsFunc(fields, func(f yamlconf.Field) bool { return f.Name == name })
	}
	for _, f := range fields {
		if slices.Contains(namesOf(writeKeys()), f.Name) && f.Name != "calls" && written("writes") ||
			f.Name == "value" && written("payload") {
			other := "writes"
			if f.Name == "value" && written("payload") {
				other = "payload"
			}
			d.AtKey(f.Node, diag.CodeExclusive, fmt.Sprintf("%s and %s exclude each other", other, f.Name), "")
		}
	}
	return e
}

// decodeExpectations takes a list of maps, or one map for a list of one.
func decodeExpectations(d *yamlconf.Decoder, n yamlconf.Node, keys []testKey) []plan.Expectation {
	items := []yamlconf.Node{n}
	if n.IsList() {
		items = d.Items(n)
	}
	all := []plan.Expectation{}
	for _, item := range items {
		if !item.IsMap() {
			d.WrongType(item, "a map")
			continue
		}
		all = append(all, decodeExpectation(d, item, keys))
	}
	return all
}

// expectField is what is expected of one field, as JSON.
func expectField(d *yamlconf.Decoder, f yamlconf.Field) ([]byte, bool) {
	switch f.Name {
	case "outcome":
		return wordJSON(d, f.Node, "the outcome", outcome.Endings())
	case "reason":
		return wordJSON(d, f.Node, "the reason", outcome.Reasons())
	case "stage":
		return wordJSON(d, f.Node, "the stage", outcome.Stages())
	case "calls", "attempts":
		raw, ok := d.JSON(f.Node)
		if _, err := strconv.ParseUint(string(raw), 10, 31); ok && err != nil {
			d.AtValue(f.Node, diag.CodeType, string(f.Node.Path)+" must be a whole number", "")
			return nil, false
		}
		return raw, ok
	case "payload":
		if f.Node.IsEmpty() {
			d.AtKey(f.Node, diag.CodeEmpty, string(f.Node.Path)+" is empty", "write null for a tombstone")
			return nil, false
		}
		return d.JSON(f.Node)
	case "request":
		if !f.Node.IsMap() {
			d.WrongType(f.Node, "a map such as {method: POST, url: …}")
			return nil, false
		}
		return d.JSON(f.Node)
	case "headers":
		if !f.Node.IsMap() {
			d.WrongType(f.Node, "a map of names to texts")
			return nil, false
		}
		return headersJSON(d, f.Node)
	default:
		return textJSON(d, f.Node)
	}
}

// wordJSON is one of several words.
func wordJSON(d *yamlconf.Decoder, n yamlconf.Node, what string, words []string) ([]byte, bool) {
	if !n.IsScalar() {
		d.WrongType(n, "one of "+diag.Or(words))
		return nil, false
	}
	if slices.Contains(words, n.Text()) {
		return []byte(yamlconf.JSONText(n.Text())), true
	}
	p := diag.Problem{Path: n.Path, Place: d.Source().Value(n.Path), Code: diag.CodeChoice,
		Message: fmt.Sprintf("%s must be %s, not %q", what, diag.Or(words), n.Text())}
	d.Add(p.Meant(diag.Nearest(n.Text(), words)))
	return nil, false
}

// Script is what one sink answers, call by call.
type Script struct {
	Path  diag.Path
	Steps []plan.ScriptStep
}

// DecodeYAML takes a list of answers, or one answer.
func (c *Script) DecodeYAML(d *yamlconf.Decoder, n yamlconf.Node) {
	c.Path = n.Path
	items := []yamlconf.Node{n}
	if n.IsList() {
		items = d.Items(n)
	}
	for _, item := range items {
		if !item.IsScalar() {
			d.WrongType(item, "an answer such as ok, fail 503 or timeout")
			continue
		}
		if n := len(c.Steps); n > 0 && c.Steps[n-1].Answer == plan.AnswerRate {
			d.Add(diag.Problem{Path: item.Path, Place: d.Source().Value(item.Path), Code: diag.CodeTest,
				Message: "no call comes to an answer behind rate, which holds from there on", Hint: "write rate last"})
			return
		}
		c.step(d, item)
	}
}

var stepText = regexp.MustCompile(`^([A-Za-z_]+)(?: ([0-9]{3}))?(?: x ?([0-9]{1,5}))?$`)

var rateText = regexp.MustCompile(`^rate ([0-9].*)$`)

// finalStatus is a status that ends a call.
var finalStatus = regexp.MustCompile(`^[2-5]`)

// step takes one answer: a word, behind fail perhaps a status, and perhaps how
// often.
func (c *Script) step(d *yamlconf.Decoder, n yamlconf.Node) {
	text := strings.Join(strings.Fields(n.Text()), " ")
	m := stepText.FindStringSubmatch(text)
	words := plan.Answers()
	p := diag.Problem{Path: n.Path, Place: d.Source().Value(n.Path), Code: diag.CodeChoice,
		Message: fmt.Sprintf("a sink answers %s, not %q", diag.Or(words), n.Text()),
		Hint:    "write such as [fail 503, timeout, ok], or fail 503 x4 for four times"}
	switch _, err := strconv.Atoi(text); {
	case rateText.MatchString(text):
		rate, err := yamlconf.ParseRate(rateText.FindStringSubmatch(text)[1])
		if err == nil {
			c.Steps = append(c.Steps, plan.ScriptStep{Path: n.Path, Answer: plan.AnswerRate, Rate: rate, Times: 1})
			return
		}
		p.Code, p.Message, p.Hint = diag.CodeRange,
			fmt.Sprintf("%q does not say how many calls are taken in which time", text), "write such as rate 20/s"
	case text == string(plan.AnswerRate):
		p.Message, p.Hint = "rate does not say how many calls are taken in which time", "write such as rate 20/s"
	case err == nil:
		p = p.Meant("fail " + text)
	case m == nil:
	case !slices.Contains(words, m[1]):
		if near := diag.Nearest(m[1], words); near != "" {
			p = p.Meant(strings.Replace(text, m[1], near, 1))
		}
	case m[2] != "" && m[1] != string(plan.AnswerFail):
		p.Hint = "only fail has a status: fail " + m[2]
	case m[2] != "" && !finalStatus.MatchString(m[2]):
		p.Code, p.Message, p.Hint = diag.CodeRange,
			"a sink that fails answers with a status from 300 to 599, not "+m[2], ""
	case m[3] != "" && strings.Trim(m[3], "0") == "":
		p.Code, p.Message, p.Hint = diag.CodeRange, "a sink gives an answer at least once, not x"+m[3],
			"leave the answer out"
	default:
		step := plan.ScriptStep{Path: n.Path, Answer: plan.Answer(m[1]), Times: 1}
		step.Status, _ = strconv.Atoi(m[2])
		if m[3] != "" {
			step.Times, _ = strconv.Atoi(m[3])
		}
		c.Steps = append(c.Steps, step)
		return
	}
	d.Add(p)
}

// JSONSchema is a list of answers, or one.
func (c *Script) JSONSchema(s *yamlconf.Schema) map[string]any {
	return s.Define("test_script", func() map[string]any {
		answer := map[string]any{"type": "string", "pattern": `^ *(` +
			strings.Join(plan.Answers()[:len(plan.Answers())-1], "|") +
			`)( +[345][0-9]{2})?( +x *0*[1-9][0-9]*)? *$|^ *rate +[0-9]+([.][0-9]+)? ?/ ?[smh] *$`}
		return map[string]any{"anyOf": []any{answer, map[string]any{"type": "array", "items": answer}}}
	})
}
