package diag

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Places of long lines are counted in characters, as those of short ones are.
func TestPlacesOfLongLines(t *testing.T) {
	text := strings.Repeat("aé€𝄞\n", 3) + strings.Repeat("aé€𝄞", 300) + "\r\n" + strings.Repeat("x", 1000) + "é"
	s := NewSource("a.yaml", []byte(text))
	line, column, start := 1, 1, 0
	for at, r := range text {
		p := s.At(at)
		if p.Line != line || p.Column != column {
			t.Fatalf("byte %d is at %d:%d, want %d:%d", at, p.Line, p.Column, line, column)
		}
		if got := s.forward(start, column-1); got != at {
			t.Fatalf("%d characters from byte %d on is %d, want %d", column-1, start, got, at)
		}
		if column++; r == '\n' {
			line, column, start = line+1, 1, at+1
		}
	}
	if got := s.forward(0, utf8.RuneCountInString(text)+5); got != len(text) {
		t.Errorf("past the end is %d, want %d", got, len(text))
	}
	if p := s.At(len(text)); p.Column != 1002 {
		t.Errorf("the end is in column %d", p.Column)
	}
}
