package compile

import (
	"maps"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// The bounds of one mending.
const (
	maxMendRounds = 10
	maxMends      = 200
)

// Mended is a configuration after its certain mends.
type Mended struct {
	// Changes are the files that differ, in the order of their names.
	Changes []Change
	// Count is how many mends there are.
	Count int
	// Before are the problems of the files as they are, Left those that remain.
	Before, Left diag.Problems
}

// Change is what mends do to one file.
type Change struct {
	// Name is the file as it was given, `-` for standard input.
	Name string
	// Before is its text on disk, After the mended one.
	Before, After []byte
	// Diff is what changes, as a unified diff without secrets.
	Diff []byte
}

// Mend tries the mends of all problems that Validate finds. One is certain if
// with it the problem is gone and the file is still YAML; mends that can be seen
// only then are tried as well. Nothing is written. Where standard input is among
// the files, Texts must hold its text.
func Mend(files []string, o config.Options, registry handlers.Registry) (Mended, error) {
	m := mender{files: files, options: o, registry: registry, original: map[string][]byte{}, tried: map[string]bool{}}
	m.options.Texts = maps.Clone(o.Texts)
	if m.options.Texts == nil {
		m.options.Texts = map[string][]byte{}
	}
	now := validate(files, m.options, registry)
	mended := Mended{Before: now.problems}
	seen, sources := slices.Clone(now.problems), now.files
	for range maxMendRounds {
		edits, err := m.round(now)
		if err != nil {
			return Mended{}, err
		}
		if len(edits) == 0 {
			break
		}
		mended.Count += len(edits)
		m.options.Texts = m.with(edits)
		now = validate(files, m.options, registry)
		seen, sources = append(seen, now.problems...), append(sources, now.files...)
	}
	mended.Left = now.problems
	for _, name := range slices.Sorted(maps.Keys(m.original)) {
		before, after := m.original[name], m.options.Texts[name]
		if string(before) == string(after) {
			continue
		}
		shown := config.DisplayName(name)
		safe := func(text []byte) []byte { return []byte(seen.Redact(redactAll(string(text), sources))) }
		mended.Changes = append(mended.Changes, Change{name, before, after,
			diff.Diff(shown, safe(before), shown, safe(after))})
	}
	return mended, nil
}

type mender struct {
	files    []string
	options  config.Options
	registry handlers.Registry
	// original are the texts of files that have problems.
	original map[string][]byte
	tried    map[string]bool
}

// round returns the edits that mend what is wrong now.
func (m *mender) round(now checked) ([]diag.Edit, error) {
	var edits []diag.Edit
	for _, p := range now.problems {
		e, ok := p.Edit()
		if !ok || len(m.tried) >= maxMends {
			continue
		}
		attempt := e.Region.Start.String() + "\x00" + string(p.Code) + e.Text
		if m.tried[attempt] {
			continue
		}
		m.tried[attempt] = true
		if err := m.read(nameOf(e.Region.Start.File)); err != nil {
			return nil, err
		}
		trial := m.options
		trial.Texts = m.with([]diag.Edit{e})
		if mends(p, now.problems, validate(m.files, trial, m.registry).problems) {
			edits = append(edits, e)
		}
	}
	return edits, nil
}

// mends tells whether a problem is gone, and none came with which the file would
// not be YAML, and none in its place that has no mend of its own.
func mends(p diag.Problem, before, after diag.Problems) bool {
	count := func(list diag.Problems, same func(diag.Problem) bool) int {
		n := 0
		for _, q := range list {
			if same(q) {
				n++
			}
		}
		return n
	}
	same := func(q diag.Problem) bool {
		return q.Code == p.Code && q.Path == p.Path && q.Place.String() == p.Place.String()
	}
	unreadable := func(q diag.Problem) bool {
		return q.Place.File == p.Place.File && (q.Code == diag.CodeSyntax || q.Code == diag.CodeEaten ||
			q.Code == diag.CodeRepeated)
	}
	there := func(q diag.Problem) bool {
		return p.Path != "" && q.Path == p.Path && q.Place.File == p.Place.File && q.Severity == diag.Error
	}
	hopeless := func(q diag.Problem) bool {
		_, ok := q.Edit()
		return there(q) && !ok
	}
	better := count(after, there) < count(before, there) || count(after, hopeless) <= count(before, hopeless)
	return better && count(after, same) < count(before, same) && count(after, unreadable) <= count(before, unreadable)
}

// read takes the text of a file in, as it is.
func (m *mender) read(name string) error {
	if _, ok := m.original[name]; ok {
		return nil
	}
	text, err := m.options.Text(name)
	if err != nil {
		return err
	}
	m.original[name], m.options.Texts[name] = text, text
	return nil
}

// with are the texts with some edits.
func (m *mender) with(edits []diag.Edit) map[string][]byte {
	texts := maps.Clone(m.options.Texts)
	for name := range m.original {
		texts[name] = diag.Apply(texts[name], config.DisplayName(name), edits)
	}
	return texts
}

// nameOf is the file that is displayed so.
func nameOf(display string) string {
	if display == config.DisplayName("-") {
		return "-"
	}
	return display
}

func redactAll(text string, files []*config.File) string {
	for _, f := range files {
		text = f.Source.Redact(text)
	}
	return text
}
