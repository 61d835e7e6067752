package diag_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// source parses text of one key and records its value under that key.
func source(t *testing.T, text string) (*diag.Source, *yaml.Node) {
	t.Helper()
	s := diag.NewSource("a.yaml", []byte(text))
	var root yaml.Node
	if err := yaml.Unmarshal(s.Text(), &root); err != nil {
		t.Fatal(err)
	}
	key, value := root.Content[0].Content[0], root.Content[0].Content[1]
	s.Record(diag.Path(key.Value), key, value)
	return s, value
}

func TestInsideScalars(t *testing.T) {
	tests := []struct{ name, text, find, want string }{
		{"plain", "a: foo bar\n", "bar", "1:8"},
		{"plain folded", "a: foo\n   bar\n\n   baz\n", "baz", "4:4"},
		{"plain with anchor and tag", "a: &x !!str foo bar\n", "bar", "1:17"},
		{"characters before", "a: äöü 日本 bar\n", "bar", "1:11"},
		{"single quotes", "a: 'it''s ''x'' bar'\n", "bar", "1:17"},
		{"single quotes folded", "a: 'foo\n  it''s\n\n  bar'\n", "bar", "4:3"},
		{"double quotes", `a: "\"x\" \t \u00e4 bar"` + "\n", "bar", "1:21"},
		{"an escaped break", "a: \"foo \\\n   bar\"\n", "bar", "2:4"},
		{"an escape found", `a: "x \u00e4"` + "\n", "ä", "1:7"},
		{"literal", "a: |\n  foo\n    bar\n  baz\n", "baz", "4:3"},
		{"literal, more indented", "a: |\n  foo\n    bar\n", "bar", "3:5"},
		{"literal with header", "a: |2-\n   foo\n  bar\n", "bar", "3:3"},
		{"literal with comment", "a: | # text\n  bar\n", "bar", "2:3"},
		{"folded", "a: >-\n  foo\n  bar\n\n  baz\n", "baz", "5:3"},
		{"CRLF", "a: |\r\n  foo\r\n  bar\r\n", "bar", "3:3"},
		{"CRLF folded", "a: >\r\n  foo\r\n  bar\r\n", "bar", "3:3"},
		{"byte order mark", "\xef\xbb\xbfa: foo bar\n", "bar", "1:8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, value := source(t, tt.text)
			offset := strings.Index(value.Value, tt.find)
			if offset < 0 {
				t.Fatalf("%q is not in %q", tt.find, value.Value)
			}
			if got := strings.TrimPrefix(s.Inside("a", offset).String(), "a.yaml:"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPlacesOfWhatIsNotWritten(t *testing.T) {
	s, _ := source(t, "\nkey: \n")
	for name, got := range map[string]diag.Place{
		"empty value":        s.Value("key"),
		"inside empty value": s.Inside("key", 3),
		"below":              s.Key("key.a.b"),
		"below in a list":    s.Key("key[3]"),
	} {
		if got.String() != "a.yaml:2:1" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got := s.Key("other").String(); got != "a.yaml:1:1" {
		t.Errorf("another key: got %s", got)
	}
}

func TestPath(t *testing.T) {
	p := diag.Path("").Field("pipelines").Field("a.b").Field("sinks").Item(2)
	if want := diag.Path(`pipelines."a.b".sinks[2]`); p != want {
		t.Fatalf("got %s, want %s", p, want)
	}
	var up []diag.Path
	for ; p != ""; p = p.Parent() {
		up = append(up, p)
	}
	want := []diag.Path{`pipelines."a.b".sinks[2]`, `pipelines."a.b".sinks`, `pipelines."a.b"`, `pipelines`}
	if diff := cmp.Diff(want, up); diff != "" {
		t.Error(diff)
	}
	if diag.Path("ab.c").Within("a") || !diag.Path("a[1].c").Within("a") || !diag.Path("a").Within("a") {
		t.Error("Within takes a part of a name for the name")
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"topic", "topics", "pattern", "group", "url"}
	for name, want := range map[string]string{
		"topcs": "topics", "tpoic": "topic", "Group": "group", "grp": "", "patern": "pattern",
		"ulr": "url", "x": "", "": "", "topic": "topics", "entirely": "",
	} {
		if got := diag.Nearest(name, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func problems(t *testing.T) diag.Problems {
	t.Helper()
	s, _ := source(t, "key: foo\tbär hunter2\n")
	var ps diag.Problems
	ps.Add(diag.Problem{Path: "key", Place: s.Inside("key", 4), Code: diag.CodeType, Message: "must be <x>", Hint: "write y", Fix: "y",
		Related: &diag.Related{Place: s.Key("key"), Message: "the key"}})
	ps.Add(diag.Problem{Place: s.Key("key"), Severity: diag.Warning, Code: diag.CodeNotRun, Message: "not\x1b[31m run"})
	ps.Add(diag.Problem{Place: diag.Place{File: "b.yaml"}, Code: diag.CodeUnreadable, Message: "no such file"})
	ps.Sort()
	return ps
}

func TestWriteText(t *testing.T) {
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, problems(t), false); err != nil {
		t.Fatal(err)
	}
	want := "a.yaml:1:1: warning: not\uFFFD[31m run [MR015]\n" +
		"  1 | key: foo\tbär hunter2\n" +
		"    | ^\n" +
		"\n" +
		"a.yaml:1:10: must be <x> [MR006]\n" +
		"  1 | key: foo\tbär hunter2\n" +
		"    |         \t^\n" +
		"see a.yaml:1:1: the key\n" +
		"hint: write y\n" +
		"\n" +
		"b.yaml: no such file [MR001]\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteColour(t *testing.T) {
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, problems(t), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[31m^\x1b[0m", "\x1b[33mwarning:\x1b[0m"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %q", want, out.String())
		}
	}
}

func TestWriteJSON(t *testing.T) {
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatJSON, problems(t), true); err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "file": "a.yaml",
    "line": 1,
    "column": 1,
    "severity": "warning",
    "code": "MR015",
    "message": "not\u001b[31m run"
  },
  {
    "file": "a.yaml",
    "line": 1,
    "column": 10,
    "severity": "error",
    "code": "MR006",
    "message": "must be <x>",
    "hint": "write y",
    "related": {
      "file": "a.yaml",
      "line": 1,
      "column": 1,
      "message": "the key"
    },
    "fix": "y",
    "fix_at": {
      "line": 1,
      "column": 6,
      "end_line": 1,
      "end_column": 21
    }
  },
  {
    "file": "b.yaml",
    "line": 1,
    "column": 1,
    "severity": "error",
    "code": "MR001",
    "message": "no such file"
  }
]
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := diag.Write(&out, diag.FormatJSON, nil, false); err != nil || out.String() != "[]\n" {
		t.Errorf("no problems: %q, %v", out.String(), err)
	}
	if diag.Write(&out, "xml", nil, false) == nil {
		t.Error("an unknown format is no error")
	}
}

func TestLongLinesAreCut(t *testing.T) {
	s, _ := source(t, "a: "+strings.Repeat("x", 500)+"END"+strings.Repeat("y", 500)+"\n")
	var out bytes.Buffer
	if err := diag.Write(&out, diag.FormatText, diag.Problems{{Place: s.Inside("a", 500), Message: "here"}}, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	line, caret := []rune(lines[1]), strings.IndexByte(lines[2], '^')
	if len(line) > 200 || caret >= len(line) || string(line[caret:caret+3]) != "END" {
		t.Errorf("the caret is not under END:\n%s", out.String())
	}
}

func TestMaskedTextIsNotShown(t *testing.T) {
	s, value := source(t, "password: 'hunter2'\n")
	s.Mask(value)
	if line, _ := s.Line(1); line != "password: '***'" {
		t.Errorf("got %q", line)
	}
}

// TestMaskedTextKeepsTheCaret shows a line with two secrets of any length: the
// caret is under what is meant, and at the beginning of a secret that it is in.
func TestMaskedTextKeepsTheCaret(t *testing.T) {
	text := "a: {password: hunter2hunter2, token: ü€, bad: x}\n"
	s, _ := source(t, text)
	s.MaskText(strings.Index(text, "hunter2"), strings.Index(text, ", token"))
	s.MaskText(strings.Index(text, "ü€"), strings.Index(text, ", bad"))
	const shown = "a: {password: ***, token: ***, bad: x}"
	for _, c := range []struct{ in, under string }{{"a:", "a:"}, {"hunter2", "***, t"}, {"er2hunter2", "***, t"}, {"token", "token"}, {"€", "***, b"}, {"bad", "bad"}, {"}", "}"}} {
		var out bytes.Buffer
		if err := diag.Write(&out, diag.FormatText, diag.Problems{{Place: s.At(strings.Index(text, c.in)), Message: "here"}}, false); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		caret := strings.IndexByte(lines[2], '^')
		if !strings.HasSuffix(lines[1], shown) || !strings.HasPrefix(lines[1][caret:], c.under) {
			t.Errorf("at %q:\n%s", c.in, out.String())
		}
	}
}
