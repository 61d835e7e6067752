package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/diag"
)

// The widest column of a comparison side by side, and the longest one.
const (
	maxColumn = 60
	maxLines  = 400
)

// row is a line of each of two texts that belong together.
type row struct {
	left, right string
	mark        byte // ' ' same, '|' differs, '<' only left, '>' only right
}

// writeDiff shows two values: short ones below each other, long ones side by
// side.
func writeDiff(w io.Writer, indent, want, got string, p diag.Painter) {
	if want == "" && got == "" {
		return
	}
	if !strings.Contains(want+got, "\n") {
		fmt.Fprintf(w, "%sexpected  %s\n%sgot       %s\n", indent, p.Paint(diag.Green, want), indent,
			p.Paint(diag.Red, got))
		return
	}
	if want == "" {
		fmt.Fprintf(w, "%sgot\n", indent)
		for _, line := range lines(got) {
			fmt.Fprintf(w, "%s%s\n", indent, p.Paint(diag.Red, line))
		}
		return
	}
	rows := align(lines(want), lines(got))
	width := len("expected")
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.left))
	}
	if width > maxColumn {
		writeStacked(w, indent, rows, p)
		return
	}
	fmt.Fprintf(w, "%s%-*s   %s\n", indent, width, "expected", "got")
	for _, r := range rows {
		left := r.left + strings.Repeat(" ", width-utf8.RuneCountInString(r.left))
		line := fmt.Sprintf("%s%s %c %s", indent, left, r.mark, r.right)
		if r.mark != ' ' {
			line = fmt.Sprintf("%s%s %c %s", indent, p.Paint(diag.Green, left), r.mark, p.Paint(diag.Red, r.right))
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// writeStacked shows lines that are too wide for two columns.
func writeStacked(w io.Writer, indent string, rows []row, p diag.Painter) {
	fmt.Fprintf(w, "%s- expected\n%s+ got\n", indent, indent)
	for _, r := range rows {
		if r.mark == ' ' {
			fmt.Fprintf(w, "%s  %s\n", indent, r.left)
			continue
		}
		if r.mark != '>' {
			fmt.Fprintf(w, "%s%s\n", indent, p.Paint(diag.Green, "- "+r.left))
		}
		if r.mark != '<' {
			fmt.Fprintf(w, "%s%s\n", indent, p.Paint(diag.Red, "+ "+r.right))
		}
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	all := strings.Split(text, "\n")
	if len(all) > maxLines {
		all = append(all[:maxLines], fmt.Sprintf("… and %d lines more", len(all)-maxLines))
	}
	return all
}

// align pairs the lines of two texts along their longest common subsequence;
// between two common lines those that differ stand beside each other.
func align(a, b []string) []row {
	common := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	same := func(i, j int) bool { return sameLine(a[i], b[j]) }
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); same(i, j) {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var rows []row
	var left, right []string
	flush := func() {
		for k := range max(len(left), len(right)) {
			switch {
			case k >= len(right):
				rows = append(rows, row{left[k], "", '<'})
			case k >= len(left):
				rows = append(rows, row{"", right[k], '>'})
			default:
				rows = append(rows, row{left[k], right[k], '|'})
			}
		}
		left, right = nil, nil
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && same(i, j):
			flush()
			rows = append(rows, row{a[i], b[j], ' '})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			left = append(left, a[i])
			i++
		default:
			right = append(right, b[j])
			j++
		}
	}
	flush()
	return rows
}

// sameLine compares two lines of JSON, but for the comma at their end and how a
// number is written.
func sameLine(a, b string) bool {
	a, b = strings.TrimSuffix(a, ","), strings.TrimSuffix(b, ",")
	i, j := strings.LastIndex(a, " ")+1, strings.LastIndex(b, " ")+1
	_, number := parse([]byte(a[i:])).(json.Number)
	return a == b || number && a[:i] == b[:j] && sameNumber(a[i:], b[j:])
}
