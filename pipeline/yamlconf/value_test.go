package yamlconf_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// jsonOf is a YAML document as JSON, and the problems of making it so.
func jsonOf(t *testing.T, text string) (string, string) {
	t.Helper()
	doc, problems := yamlconf.ParseSource(diag.NewSource("a.yaml", []byte(text)), &yamlconf.Vocabulary{})
	if doc == nil {
		t.Fatal(problems)
	}
	d := yamlconf.NewDecoder(doc, yamlconf.Options{})
	got, ok := d.JSON(doc.Root())
	if ok != (len(d.Problems()) == 0) {
		t.Errorf("%s: ok is %v, with problems %v", text, ok, d.Problems())
	}
	return string(got), d.Problems().Error()
}

func TestJSONKeepsValues(t *testing.T) {
	for text, want := range map[string]string{
		`{b: 1, a: [x, null, true, "7"]}`:        `{"b":1,"a":["x",null,true,"7"]}`,
		`12345678901234567890.10`:                `12345678901234567890.10`,
		`123456789012345678901234567890`:         `123456789012345678901234567890`,
		`1.0`:                                    `1.0`,
		`19.990`:                                 `19.990`,
		`-0`:                                     `-0`,
		`1e3`:                                    `1e3`,
		`0x1F`:                                   `31`,
		`0o17`:                                   `15`,
		`1_000`:                                  `1000`,
		`+5`:                                     `5`,
		`.5`:                                     `0.5`,
		`1.`:                                     `1`,
		`-.5`:                                    `-0.5`,
		`True`:                                   `true`,
		`yes`:                                    `"yes"`,
		`2026-01-31`:                             `"2026-01-31"`,
		`2026-01-31T08:00:00Z`:                   `"2026-01-31T08:00:00Z"`,
		`"<a & b>"`:                              `"<a & b>"`,
		`${env.A}`:                               `"${env.A}"`,
		"a: &x {n: 1}\nb: *x\nc: {<<: *x, m: 2}": `{"a":{"n":1},"b":{"n":1},"c":{"m":2,"n":1}}`,
		`~`:                                      `null`,
		`{}`:                                     `{}`,
	} {
		if got, problems := jsonOf(t, text); got != want {
			t.Errorf("%s: got %s, want %s (%s)", text, got, want, problems)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`a: 007`:       `a.yaml:1:4: a: YAML may read 007 as an octal number`,
		`a: .inf`:      `a.yaml:1:4: a: JSON has no number .inf`,
		`a: [.nan]`:    `a.yaml:1:5: a[0]: JSON has no number .nan`,
		`a: !secret b`: `a.yaml:1:4: YAML takes "!secret" as a tag, not as part of the text`,
		`{a: 1, a: 2}`: `a.yaml:1:8: the key "a" is repeated`,
	} {
		_, problems := jsonOf(t, text)
		if !strings.HasPrefix(problems, want) {
			t.Errorf("%s: got %q, want %q", text, problems, want)
		}
	}
}
