package preview_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
)

// shownFile has secrets wherever a configuration can have them.
const shownFile = `
version: 1
pipelines:
  orders:
    source: {topic: orders}
    filter: payload.status == "paid"
    idempotency: {key: 'order:${payload.id}', ttl: 8d}
    transform:
      headers: {token: 'file("token")', trace: headers.trace}
      payload: {id: payload.id, pin: 'int(file("pin"))', name: 'payload.name ?? "nobody"', note: '"with " + file("token")'}
    routes:
      - when: payload.id > 100
        sinks:
          - http:
              url: https://user:hidden@example.com/${payload.id}?token=${file("token")}
              headers: {Authorization: 'Bearer ${file("token")}', X-Trace: '${headers.trace ?? "none"}'}
      - sinks:
          - kafka: {topic: 'copy_${source.payload.region}', headers: {secret: '${file("token")}'}}
          - {name: files, when: source.payload.keep, file: {dir: out, path: '${payload.id}.jsonl', format: record}}
  audit:
    source: {topic: orders, format: text}
    idempotency: {key: '${file("token")}-${offset}', ttl: 8d}
    sinks: [{stdout: {template: '${payload} ${file("token")}'}}]
`

const shownRecords = `
{"key": "k", "headers": {"trace": "t-1"}, "timestamp": 1769846400000, "payload": {"id": 7, "status": "paid", "region": "eu", "keep": true}}
{"key": "k", "timestamp": 1769846401000, "payload": {"id": 7, "status": "paid", "region": "eu", "keep": false}}
{"timestamp": 1769846402000, "payload": {"id": 500, "status": "paid", "name": "Ann <ä>"}}
{"timestamp": 1769846403000, "payload": {"id": 8, "status": "paid"}}
{"timestamp": 1769846404000, "payload": {"id": 9, "status": "open"}}
{"timestamp": 1769846405000, "value": "tab\tand \u001b[31mescape"}
{"timestamp": 1769846406000, "payload": null}
{"timestamp": 1769846407000, "payload": {"id": "ten", "status": "paid", "region": "eu"}}
`

// shown makes the preview that the goldens show.
func shown(t *testing.T) (*plan.Plan, *preview.Preview) {
	t.Helper()
	plan := load(t, shownFile, map[string]string{"token": "s3cr\"et/token\n", "pin": "424242\n"})
	now := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	return plan, open(t, plan, &keyRows{now: now, rows: map[idempotency.ID]*idempotency.Row{
		idempotency.Identity("orders", "http", 1, "order:500"): {
			State: idempotency.Confirmed, Digest: idempotency.DigestOf([]byte(`{"id": 500, "status": "paid", "name": "Ann <ä>"}`)),
			Origin: idempotency.Origin{Topic: "orders", Offset: 2}, Holder: idempotency.Holder{Host: "here", PID: 7, Run: "r"}, Answer: "status 204",
			ClaimedAt: now.Add(-2 * time.Second), ConfirmedAt: now.Add(-time.Second), Expires: now.Add(time.Hour),
		},
	}})
}

func TestShownResults(t *testing.T) {
	plan, p := shown(t)
	results := decide(t, p, plan, shownRecords)
	var lines, table, narrow, summary bytes.Buffer
	for i := range results {
		line := p.AppendJSON(nil, &results[i])
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		lines.Write(append(line, '\n'))
	}
	if err := p.NewTable(&table, preview.Style{}).Write(results); err != nil {
		t.Fatal(err)
	}
	if err := p.NewTable(&narrow, preview.Style{Width: 60}).Write(results); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteSummary(&summary, preview.Style{}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(narrow.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 60 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	golden(t, "results.jsonl", lines.Bytes())
	golden(t, "results.txt", append(append(table.Bytes(), '\n'), summary.Bytes()...))
	noSecrets(t, lines.String()+table.String()+narrow.String()+summary.String())
}

func TestShownExplanations(t *testing.T) {
	plan, p := shown(t)
	var text, lines bytes.Buffer
	for i, item := range itemsOf(t, plan, shownRecords) {
		explanations, err := p.Explain(t.Context(), item)
		if err != nil {
			t.Fatal(err)
		}
		for j := range explanations {
			if i+j > 0 {
				text.WriteByte('\n')
			}
			if err := p.WriteExplanation(&text, preview.Style{}, &explanations[j]); err != nil {
				t.Fatal(err)
			}
			line := p.AppendExplanation(nil, &explanations[j])
			if !json.Valid(line) {
				t.Errorf("not JSON: %s", line)
			}
			lines.Write(append(line, '\n'))
		}
	}
	golden(t, "explanations.txt", text.Bytes())
	golden(t, "explanations.jsonl", lines.Bytes())
	noSecrets(t, text.String()+lines.String())
}

// noSecrets looks for what is secret, and for what would move a cursor.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{`s3cr"et`, `s3cr\"et`, `s3cr%22et`, "et/token", "424242", "hidden", "\x1b"} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("shows %q: %s", secret, text[max(0, i-60):min(len(text), i+60)])
		}
	}
}
