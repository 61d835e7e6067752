package preview_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/preview"
)

// TestSecretNames has secrets that only the names of headers and query
// parameters tell of.
func TestSecretNames(t *testing.T) {
	t.Setenv("TOKEN", "zz-s3cret")
	plan := load(t, `
version: 1
pipelines:
  p:
    source: {topic: orders}
    sinks:
      - http:
          url: https://example.com/${payload.id}?token=${env.TOKEN}&shop=main
          headers: {Secret: zz-s3cret, X-Api-Key: '${env.TOKEN}', X-Auth-Token: 'a-${payload.id}-zz-s3cret', X-Shop: main}
          query: {api_key: 'zz-s3cret-${payload.id}', page: '${payload.id}'}
      - kafka: {topic: copy, headers: {X-Token: zz-s3cret, trace: t}}
`, nil)
	p := open(t, plan, &keyRows{rows: map[idempotency.ID]*idempotency.Row{}})
	const record = `{"payload": {"id": 7}}`
	var out bytes.Buffer
	for _, r := range decide(t, p, plan, record) {
		out.Write(append(p.AppendJSON(nil, &r), '\n'))
	}
	explanations, err := p.Explain(t.Context(), itemsOf(t, plan, record)[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range explanations {
		if err := p.WriteExplanation(&out, preview.Style{}, &explanations[i]); err != nil {
			t.Fatal(err)
		}
		out.Write(p.AppendExplanation(nil, &explanations[i]))
	}
	if text := out.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, `"X-Shop":"main"`) ||
		!strings.Contains(text, "https://example.com/[redacted]") {
		t.Error(text)
	}
}
