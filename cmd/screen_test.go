package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// What a terminal would act on is written out, wherever writes cut it, and JSON
// stays the JSON that it was.
func TestScreenActsOnNothing(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü ☃ 👩\u200d🚀\ttab\n": "plain ü ☃ 👩\u200d🚀\ttab\n",
		"\x1b]0;title\a":            `\u001b]0;title\u0007`,
		"\u009b2J":                  `\u009b2J`,
		"a\x7fb":                    `a\u007fb`,
		"\u202ecod.exe\u2066":       `\u202ecod.exe\u2066`,
		"over\rwritten\r\n":         "over\\u000dwritten\r\n",
		"bad \x9b byte":             `bad \x9b byte`,
		"\x1b[31mred\x1b[0m":        `\u001b[31mred\u001b[0m`,
	} {
		for size := 1; size <= len(in); size++ {
			var out bytes.Buffer
			s := &screen{out: &out}
			for i := 0; i < len(in); i += size {
				part := in[i:min(len(in), i+size)]
				if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got := out.String(); got != want {
				t.Errorf("%q in pieces of %d: got %q, want %q", in, size, got, want)
			}
		}
	}
	var out bytes.Buffer
	painting := &screen{out: &out, colours: true}
	if _, err := painting.Write([]byte("\x1b[31mred\x1b[0m \x1b[2J\x1b[8m")); err != nil || out.String() != "\x1b[31mred\x1b[0m \\u001b[2J\\u001b[8m" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	const value = "a\u009b\u202e\x7f"
	line, _ := json.Marshal(value)
	out.Reset()
	if _, err := (&screen{out: &out}).Write(line); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != value {
		t.Errorf("%s is read as %q, %v", out.String(), got, err)
	}
}

// A pipe takes bytes as they are.
func TestOnlyTerminalsAreScreens(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	if onScreen(write) != write {
		t.Error("a pipe is taken for a terminal")
	}
}
