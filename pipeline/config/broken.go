package config

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// outermost is a line that begins a block of the outermost level.
var outermost = regexp.MustCompile(`^([a-z_]+):(?:\s|$)`)

// withoutBroken parses a file that is no YAML once more, without the blocks of
// its outermost level that are not and that nobody uses; the problems are then of
// those blocks. Where it is not certain which they are, nothing is gained.
func (r *reader) withoutBroken(source *diag.Source, broken diag.Problems) (*yamlconf.Document, diag.Problems) {
	text, first, found := bytes.Clone(source.Text()), broken, diag.Problems{}
	for {
		name, from, to := blockAt(text, broken)
		if name == "" || r.options.Uses(diag.Problem{Path: diag.Path(name), Code: diag.CodeSyntax}) {
			return nil, first
		}
		for _, p := range broken {
			p.Path = diag.Path(name)
			found.Add(p)
		}
		for i := from; i < to; i++ {
			if text[i] != '\n' && text[i] != '\r' {
				text[i] = ' '
			}
		}
		var document *yamlconf.Document
		if document, broken = yamlconf.ParseSource(diag.NewSource(source.Name(), text), r.vocabulary); document != nil {
			return document, append(found, broken...)
		}
	}
}

// blockAt is the block of the outermost level that the first error is in; no
// name where a line does not clearly begin one.
func blockAt(text []byte, broken diag.Problems) (name string, from, to int) {
	wrong := slices.IndexFunc(broken, func(p diag.Problem) bool { return p.Severity == diag.Error })
	if wrong < 0 || broken[wrong].Place.Line == 0 {
		return "", 0, 0
	}
	at, line := 0, 0
	for l := range bytes.Lines(text) {
		line++
		if m := outermost.FindSubmatch(l); m != nil {
			if line > broken[wrong].Place.Line && to == 0 {
				to = at
			}
			if to == 0 {
				name, from = string(m[1]), at
			}
		} else if len(bytes.TrimSpace(l)) > 0 && !bytes.ContainsAny(l[:1], " \t#") &&
			!bytes.HasPrefix(l, []byte("---")) {
			return "", 0, 0
		}
		at += len(l)
	}
	if to == 0 {
		to = at
	}
	return name, from, to
}
