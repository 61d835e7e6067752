package diag

import (
	"fmt"
	"io"
)

// Format is a way to show problems.
type Format string

// The formats that Write knows.
const (
	// FormatText is for people: the place, the message, two source lines with
	// a caret, and the hint.
	FormatText Format = "text"
	// FormatJSON is one array of objects.
	FormatJSON Format = "json"
)

// Formats lists what Write knows, for usage texts. A further format is one more
// constant, one more entry here and one more case in Write.
func Formats() []Format { return []Format{FormatText, FormatJSON} }

// Write shows problems in a format, in the order that they have. Colour only
// concerns FormatText.
func Write(w io.Writer, format Format, problems Problems, colour bool) error {
	switch format {
	case FormatText:
		return writeText(w, problems, colour)
	case FormatJSON:
		return writeJSON(w, problems)
	default:
		return fmt.Errorf("show problems: unknown format %q", format)
	}
}
