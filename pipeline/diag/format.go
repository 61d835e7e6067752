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
	// FormatGitHub is a workflow command for each problem, which GitHub shows
	// beside the lines of a pull request.
	FormatGitHub Format = "github"
	// FormatSARIF is one SARIF 2.1.0 log.
	FormatSARIF Format = "sarif"
)

// Formats lists what Write knows, for usage texts. A further format is one more
// constant, one more entry here and one more case in Write.
func Formats() []Format { return []Format{FormatText, FormatJSON, FormatGitHub, FormatSARIF} }

// Write shows problems in a format, in the order that they have. Colour only
// concerns FormatText.
func Write(w io.Writer, format Format, problems Problems, colour bool) error {
	problems = problems.WithoutSecrets()
	switch format {
	case FormatText:
		return writeText(w, problems, colour)
	case FormatJSON:
		return writeJSON(w, problems)
	case FormatGitHub:
		return writeGitHub(w, problems)
	case FormatSARIF:
		return writeSARIF(w, problems)
	default:
		return fmt.Errorf("show problems: unknown format %q", format)
	}
}
