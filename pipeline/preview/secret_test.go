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
    filter: headers.authorization != nil and len(headers) > 0
    transform: {headers: {x-api-key: '"zz-s3cret"', x-token: '"Bearer zz-s3cret"', x-auth: 'headers["x-key"] ?? "zz-s3cret"'}}
    sinks:
      - http:
          url: https://example.com/${payload.id}?token=${env.TOKEN}&shop=main
          headers: {Secret: zz-s3cret, X-Api-Key: '${env.TOKEN}', X-Auth-Token: 'a-${payload.id}-zz-s3cret', X-Shop: main}
          query: {api_key: 'zz-s3cret-${payload.id}', page: '${payload.id}'}
      - kafka: {topic: copy, headers: {X-Token: zz-s3cret, authorization: Basic zz-s3cret, trace: t}}
`, nil)
	p := open(t, plan, &keyRows{rows: map[idempotency.ID]*idempotency.Row{}})
	const record = `{"payload": {"id": 7}, "headers": {"authorization": "Bearer zz-s3cret", "x-key": "zz-s3cret", "shop": "main-shop"}}`
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
	if text := out.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, `"X-Shop":"main"`) || !strings.Contains(text, "main-shop") ||
		!strings.Contains(text, `transform.headers.x-token: "Bearer [redacted]"`) ||
		!strings.Contains(text, "https://example.com/[redacted]") {
		t.Error(text)
	}
}

// TestFailuresQuoteNoSecret has headers fail that make secrets: what is said of it holds
// no text of theirs.
func TestFailuresQuoteNoSecret(t *testing.T) {
	for _, made := range []string{
		`transform: {headers: {authorization: 'int("zz-s3cret" + payload.id)'}}` + "\n    sinks: [{stdout: {}}]",
		`sinks: [{kafka: {topic: o, headers: {x-api-key: '${int("zz-s3cret" + payload.id)}'}}}]`,
		`sinks: [{http: {url: 'http://localhost/', headers: {X-Auth: 'Bearer ${int("zz-s3cret" + payload.id)}'}}}]`,
		`sinks: [{http: {url: 'http://localhost/', query: {code: '${int("zz-s3cret" + payload.id)}'}}}]`,
	} {
		plan := load(t, "version: 1\npipelines:\n  p:\n    source: {topic: orders}\n    "+made+"\n", nil)
		p := open(t, plan, &keyRows{rows: map[idempotency.ID]*idempotency.Row{}})
		const record = `{"payload": {"id": "x"}}`
		explanations, err := p.Explain(t.Context(), itemsOf(t, plan, record)[0])
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := p.WriteExplanation(&out, preview.Style{}, &explanations[0]); err != nil {
			t.Fatal(err)
		}
		out.Write(p.AppendExplanation(nil, &explanations[0]))
		r := decide(t, p, plan, record)[0]
		failed := r.Err
		if len(r.Writes) > 0 && failed == nil {
			failed = r.Writes[0].Err
		}
		if failed == nil || !strings.Contains(failed.Error(), "is text that is no whole number") || strings.Contains(failed.Error()+out.String(), "s3cret") {
			t.Errorf("%s: %v\n%s", made, failed, out.String())
		}
	}
}
