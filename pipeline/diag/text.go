package diag

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// excerptWidth is how many characters of a source line are shown.
const excerptWidth = 150

func writeText(w io.Writer, problems Problems, colour bool) error {
	t := textWriter{colour: Painter(colour)}
	for i, p := range problems {
		if i > 0 {
			t.out.WriteByte('\n')
		}
		t.problem(p)
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

type textWriter struct {
	out    bytes.Buffer
	colour Painter
}

func (t *textWriter) problem(p Problem) {
	t.out.WriteString(t.colour.Paint(Bold, Printable(p.Place.String())+":") + " ")
	if p.Severity == Warning {
		t.out.WriteString(t.colour.Paint(Yellow, "warning:") + " ")
	}
	t.out.WriteString(Printable(p.Message))
	if p.Code != "" {
		t.out.WriteString(" " + t.colour.Paint(Faint, "["+string(p.Code)+"]"))
	}
	t.out.WriteByte('\n')
	t.excerpt(p)
	if r := p.Related; r != nil {
		fmt.Fprintf(&t.out, "see %s: %s\n", Printable(r.Place.String()), Printable(r.Message))
	}
	if p.Hint != "" {
		t.out.WriteString(t.colour.Paint(Bold, "hint:") + " " + Printable(p.Hint) + "\n")
	}
}

// excerpt shows the line before the problem, its line, and a caret.
func (t *textWriter) excerpt(p Problem) {
	if p.Place.source == nil || p.Place.Line == 0 {
		return
	}
	line, column, ok := p.Place.source.around(p.Place.Line, p.Place.Column)
	if !ok {
		return
	}
	width := len(strconv.Itoa(p.Place.Line))
	first := max(0, column-excerptWidth*2/3)
	if len([]rune(line)) <= excerptWidth {
		first = 0
	}
	if before, _, ok := p.Place.source.around(p.Place.Line-1, p.Place.Column); ok {
		t.line(width, strconv.Itoa(p.Place.Line-1), cut(before, first))
	}
	t.line(width, strconv.Itoa(p.Place.Line), cut(line, first))
	colour := Red
	if p.Severity == Warning {
		colour = Yellow
	}
	t.line(width, "", padding(line, first, column-1)+t.colour.Paint(colour, "^"))
}

func (t *textWriter) line(width int, number, text string) {
	bar := fmt.Sprintf("  %*s |", width, number)
	t.out.WriteString(t.colour.Paint(Faint, bar))
	if text != "" {
		t.out.WriteString(" " + text)
	}
	t.out.WriteByte('\n')
}

// cut is the part of a line that is shown, from the character first on.
func cut(line string, first int) string {
	runes := []rune(Printable(line))
	if first >= len(runes) && first > 0 {
		return ""
	}
	if first > 0 {
		runes[first] = '…'
	}
	runes = runes[first:]
	if len(runes) > excerptWidth {
		runes = append(runes[:excerptWidth:excerptWidth], '…')
	}
	return string(runes)
}

// padding is as wide as the characters from first up to column.
func padding(line string, first, column int) string {
	runes := []rune(Printable(line))
	var b strings.Builder
	for i := first; i < column; i++ {
		switch {
		case i < len(runes) && runes[i] == '\t':
			b.WriteByte('\t')
		case i < len(runes) && wide(runes[i]):
			b.WriteString("  ")
		case i < len(runes) && unicode.Is(unicode.Mn, runes[i]):
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// wide tells whether a terminal shows r two columns wide.
func wide(r rune) bool {
	return r >= 0x1100 && r <= 0x115F || r >= 0x2E80 && r <= 0xA4CF || r >= 0xAC00 && r <= 0xD7A3 ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0xFE30 && r <= 0xFE6F || r >= 0xFF00 && r <= 0xFF60 ||
		r >= 0xFFE0 && r <= 0xFFE6 || r >= 0x1F300 && r <= 0x1FAFF || r >= 0x20000 && r <= 0x3FFFD
}
