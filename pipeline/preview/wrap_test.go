package preview_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/preview"
)

// On a terminal, however narrow, what was decided and why is shown whole; only
// values and requests are cut. No part of a secret comes to stand alone.
func TestReasonsAreNeverCut(t *testing.T) {
	const record = `{"key": "k", "headers": {"h": "%[1]s"}, "payload": {"id": "%[1]s", "status": "paid", "region": "eu"}}` + "\n" +
		`{"payload": {"id": 9, "status": "paid", "region": "eu", "more": "%[1]s"}}` + "\n"
	for width := 40; width <= 120; width += 8 {
		plan, p := shown(t)
		lines := fmt.Sprintf(record, strings.Repeat("x", 300))
		results := decide(t, p, plan, lines)
		var table, text bytes.Buffer
		if err := p.NewTable(&table, preview.Style{Width: width}).Write(results); err != nil {
			t.Fatal(err)
		}
		for _, item := range itemsOf(t, plan, lines) {
			explanations, err := p.Explain(t.Context(), item)
			if err != nil {
				t.Fatal(err)
			}
			for i := range explanations {
				if err := p.WriteExplanation(&text, preview.Style{Width: width}, &explanations[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		for what, shown := range map[string]string{"dry-run": table.String(), "explain": text.String()} {
			if whole := strings.Join(strings.Fields(shown), " "); !strings.Contains(whole, "payload.id is text and 100 is a number: cannot compare with >") {
				t.Errorf("%s, width %d: a reason is cut:\n%s", what, width, shown)
			}
			for line := range strings.Lines(shown) {
				if n := utf8.RuneCountInString(line) - 1; n > width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "xxx") {
					t.Errorf("%s: %d columns of %d: %s", what, n, width, line)
				}
				if strings.Contains(line, strings.Repeat("x", 300)) && strings.Contains(line, "header") {
					t.Errorf("%s: a value is not cut: %s", what, line)
				}
			}
			noSecrets(t, shown)
		}
	}
}

// What is no text is shown as tail shows it: two keys that differ never look the
// same.
func TestExplanationOfBytes(t *testing.T) {
	plan, p := shown(t)
	for _, item := range itemsOf(t, plan, `{"key_base64": "/w==", "headers": {"h": {"base64": "/g=="}}, "value_base64": "/f8="}`) {
		explanations, err := p.Explain(t.Context(), item)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := p.WriteExplanation(&text, preview.Style{}, &explanations[0]); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"key_base64 /w==", "header h: base64 /g==", "value_base64 /f8="} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("lacks %q:\n%s", want, text.String())
			}
		}
	}
}
