package preview_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/preview"
)

// A part that costs more than the limits is said not to be read: null would be
// another value than the record has. What only came after it is shown.
func TestExplanationOfARecordThatIsTooCostly(t *testing.T) {
	plan := load(t, `
limits: {steps: 60000, bytes: 1MiB}
pipelines:
  one: {source: {topic: orders}, filter: 'payload.id == 7 && len(payload.items) > 3 && len(payload.few) > 0', sinks: [{stdout: {}}]}
  two: {source: {topic: orders}, filter: 'len(payload.few) + len(payload.more) > 3', sinks: [{stdout: {}}]}
`, nil)
	p := open(t, plan, nil)
	list := func(n int) string { return "[" + strings.Repeat("7,", n-1) + "7]" }
	line := `{"topic": "orders", "payload": {"id": 7, "items": ` + list(5000) + `, "few": ` + list(1000) + `, "more": ` + list(1000) + `}}`
	var text, lines bytes.Buffer
	explanations, err := p.Explain(t.Context(), itemsOf(t, plan, line)[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range explanations {
		if err := p.WriteExplanation(&text, preview.Style{Width: 100}, &explanations[i]); err != nil {
			t.Fatal(err)
		}
		lines.Write(p.AppendExplanation(nil, &explanations[i]))
	}
	for _, want := range []string{
		"payload.id = 7\n", "payload.items = not read: too costly\n", "payload.few = [7,7,7", "payload.more = [7,7,7",
		"dead_lettered",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "= null") {
		t.Errorf("says null of what was not read:\n%s", text.String())
	}
	if want := `{"name":"payload.items","error":"not read: too costly"}`; !strings.Contains(lines.String(), want) || strings.Contains(lines.String(), `"value":null`) {
		t.Errorf("%s is missing, or a value is null, in %.3000s", want, lines.String())
	}
}
