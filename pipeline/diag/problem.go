package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a problem stops the configuration from running.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Path is where in the configuration, empty for a file as a whole.
	Path Path
	// Place is where in which file.
	Place    Place
	Severity Severity
	Code     Code
	// Message says what is wrong, in one line, Hint how to mend it where that
	// is known.
	Message, Hint string
	// Fix is the YAML to put in the place of FixAt, empty where no mend is
	// known.
	Fix string
	// FixAt is what Fix replaces; zero for the whole scalar at Path.
	FixAt Region
	// Related is the other of two places that the problem is about, such as
	// the first of a repeated key; nil where there is none.
	Related *Related
}

// Related is a second place that a problem is about.
type Related struct {
	Place   Place
	Message string
}

// Error is the problem in one line: file:line:col: message.
func (p Problem) Error() string {
	if p.Severity == Warning {
		return p.Place.String() + ": warning: " + p.Message
	}
	return p.Place.String() + ": " + p.Message
}

// Meant is the problem with what was probably written instead of another word as its mend; ""
// says that nothing is near.
func (p Problem) Meant(near string) Problem {
	if near != "" {
		p.Hint, p.Fix = fmt.Sprintf("did you mean %q?", near), near
	}
	return p
}

// Problems is a list of problems. The zero value is ready to use.
type Problems []Problem

// Add appends p; without a severity it is an error.
func (ps *Problems) Add(p Problem) {
	if p.Severity == "" {
		p.Severity = Error
	}
	*ps = append(*ps, p)
}

// Sort orders problems by file, line and column; those of one place keep their
// order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Place.File, b.Place.File),
			cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column),
		)
	})
}

// HasErrors tells whether any problem is more than a warning.
func (ps Problems) HasErrors() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Error })
}

// Broken tells whether there is an error at path or below it in the file.
func (ps Problems) Broken(file string, path Path) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool {
		return p.Severity == Error && p.Place.File == file && p.Path.Within(path)
	})
}

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}
