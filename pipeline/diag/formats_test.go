package diag_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/diag"
)

func TestWriteGitHub(t *testing.T) {
	ps := problems(t)
	ps.Add(diag.Problem{Place: diag.Place{File: "./a:b,c.yaml"}, Code: diag.CodeEmpty, Message: "100% of\nlines", Hint: "none"})
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatGitHub, ps, true); err != nil {
		t.Fatal(err)
	}
	want := "::warning file=a.yaml,line=1,col=1,endColumn=4,title=Millrace MR015::not\x1b[31m run\n" +
		"::error file=a.yaml,line=1,col=10,endColumn=13,title=Millrace MR006::must be <x>%0Asee a.yaml:1:1: the key%0Ahint: write y\n" +
		"::error file=b.yaml,title=Millrace MR001::no such file\n" +
		"::error file=a%3Ab%2Cc.yaml,title=Millrace MR012::100%25 of%0Alines%0Ahint: none\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteSARIF(t *testing.T) {
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatSARIF, problems(t), true); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			ColumnKind string
			Tool       struct {
				Driver struct {
					Rules []struct {
						ID, HelpURI     string
						FullDescription struct{ Text string }
					}
				}
			}
			Results []any
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if run.ColumnKind != "unicodeCodePoints" {
		t.Errorf("columns are %q", run.ColumnKind)
	}
	for _, r := range run.Tool.Driver.Rules {
		if r.FullDescription.Text == "" || !strings.HasSuffix(r.HelpURI, "docs/problems.md#"+strings.ToLower(r.ID)) {
			t.Errorf("rule %+v", r)
		}
	}
	region := func(line, from, to float64) map[string]any {
		return map[string]any{"startLine": line, "startColumn": from, "endLine": line, "endColumn": to}
	}
	file := map[string]any{"uri": "a.yaml"}
	want := map[string]any{
		"ruleId": "MR006", "ruleIndex": 1.0, "level": "error",
		"message":   map[string]any{"text": "must be <x>\nhint: write y"},
		"locations": []any{map[string]any{"physicalLocation": map[string]any{"artifactLocation": file, "region": region(1, 10, 13)}}},
		"relatedLocations": []any{map[string]any{"id": 1.0, "message": map[string]any{"text": "the key"},
			"physicalLocation": map[string]any{"artifactLocation": file, "region": map[string]any{"startLine": 1.0, "startColumn": 1.0}}}},
		"fixes": []any{map[string]any{"description": map[string]any{"text": "replace it by y"},
			"artifactChanges": []any{map[string]any{"artifactLocation": file,
				"replacements": []any{map[string]any{"deletedRegion": region(1, 6, 21), "insertedContent": map[string]any{"text": "y"}}}}}}},
	}
	if diff := cmp.Diff(want, run.Results[1]); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := diag.Write(&out, diag.FormatSARIF, nil, false); err != nil || !strings.Contains(out.String(), `"results": []`) {
		t.Errorf("no problems: %s, %v", out.String(), err)
	}
}

// TestSpelledFixes puts a text in the place of a scalar, in the kind of quotes
// that it has, and changes nothing else.
func TestSpelledFixes(t *testing.T) {
	tests := []struct{ name, text, put, want string }{
		{"plain", "a: foo # why\n", "bar", "a: bar # why\n"},
		{"plain that needs quotes", "a: foo\n", "b: c", "a: 'b: c'\n"},
		{"plain with brackets", "a: x in [\"b\"]\n", `y in ["b"]`, "a: y in [\"b\"]\n"},
		{"anchor and tag", "a: &x !!str foo\n", "bar", "a: &x !!str bar\n"},
		{"single quotes", "a: 'foo'\n", "it's", "a: 'it''s'\n"},
		{"double quotes", "a: \"foo \\u00e4\"  \n", `b "c"`, "a: \"b \\\"c\\\"\"  \n"},
		{"CRLF and byte order mark", "\xef\xbb\xbfa: foo\r\n", "bar", "\xef\xbb\xbfa: bar\r\n"},
		{"literal", "a: |\n  foo = \"x\" &&\n  bar\n", "foo == \"x\" &&\nbar\n", "a: |\n  foo == \"x\" &&\n  bar\n"},
		{"folded plain", "a: foo\n   bAr baz\n", "foo bar baz", "a: foo\n   bar baz\n"},
		{"less of a folded text", "a: >\n  foo xx\n  bar\n", "foo x bar\n", "a: >\n  foo x\n  bar\n"},
		{"wide characters", "a: 'é日本'\n", "é日x", "a: 'é日x'\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := source(t, tt.text)
			p := diag.Problem{Path: "a", Place: s.Value("a")}
			p.Fix, p.FixAt = s.Spell("a", tt.put)
			e, ok := p.Edit()
			if !ok {
				t.Fatal("there is no edit")
			}
			if diff := cmp.Diff(tt.want, string(diag.Apply([]byte(tt.text), "a.yaml", []diag.Edit{e}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEditsThatOverlap(t *testing.T) {
	s, _ := source(t, "a: foo bar\n")
	edit := func(from, to int, text string) diag.Edit { return diag.Edit{Region: s.Range(from, to), Text: text} }
	got := diag.Apply([]byte("a: foo bar\n"), "a.yaml", []diag.Edit{edit(7, 10, "BAR"), edit(3, 6, "FOO"), edit(5, 8, "--"), edit(3, 3, "!")})
	if want := "a: FOO BAR\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := diag.Apply([]byte("x: 1\n"), "b.yaml", []diag.Edit{edit(0, 1, "y")}); string(got) != "x: 1\n" {
		t.Errorf("an edit of another file changed it: %q", got)
	}
}

func TestPartOfAFile(t *testing.T) {
	text := "# Höhe\n\n```yaml\na: foo\n```\n"
	start := strings.Index(text, "a:")
	s := diag.NewPart("a.md", []byte(text), start, start+len("a: foo\n"))
	if got := s.At(start + 3).String(); got != "a.md:4:4" {
		t.Errorf("got %s", got)
	}
	if line, _ := s.Line(3); line != "```yaml" {
		t.Errorf("the line before is shown as %q", line)
	}
	if strings.TrimSpace(string(s.Text())) != "a: foo" || strings.Count(string(s.Text()), "\n") != 4 {
		t.Errorf("the text is %q", s.Text())
	}
}
