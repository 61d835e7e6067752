package preview

import "strings"

// wrap breaks a line that is longer than a terminal's at spaces; what follows is
// indented. A word that is longer than that stays whole, so that it can be copied.
// Width 0 breaks nothing.
func wrap(line string, width, indent int) string {
	runes := []rune(line)
	if width <= indent {
		return line
	}
	var out strings.Builder
	for begin := 0; len(runes) > width; begin = indent {
		at := lastSpace(runes[:width+1], begin)
		if at < 0 {
			if at = firstSpace(runes, width); at < 0 {
				break
			}
		}
		out.WriteString(strings.TrimRight(string(runes[:at]), " ") + "\n")
		rest := strings.TrimLeft(string(runes[at:]), " ")
		runes = []rune(strings.Repeat(" ", indent) + rest)
	}
	return out.String() + string(runes)
}

// lastSpace is the last space behind some text that begins at from.
func lastSpace(runes []rune, from int) int {
	for i := len(runes) - 1; i > from; i-- {
		if runes[i] == ' ' && strings.TrimLeft(string(runes[from:i]), " ") != "" {
			return i
		}
	}
	return -1
}

func firstSpace(runes []rune, from int) int {
	for i := from; i < len(runes); i++ {
		if runes[i] == ' ' {
			return i
		}
	}
	return -1
}
