package config

import (
	"bytes"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
)

var errMarkdown = errors.New("the blocks of a Markdown file can be validated, and not run")

// ReadMarkdown reads the YAML blocks of a Markdown file that are configurations, each
// on its own, as Read reads files.
func ReadMarkdown(name string, o Options, registry handlers.Registry, each func(*Config, diag.Problems)) {
	text, err := o.Text(name)
	if err != nil {
		each(nil, diag.Problems{unreadable(name, err)})
		return
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	blocks := slices.DeleteFunc(yamlBlocks(text), func(b yamlBlock) bool { return !b.isConfiguration() })
	for _, b := range blocks {
		r := newReader(o, registry)
		r.config.Fragment = true
		each(r.finish(r.file(name, diag.NewPart(DisplayName(name), text, b.start, b.end))))
	}
	if len(blocks) == 0 {
		each(nil, diag.Problems{{Place: diag.Place{File: name}, Severity: diag.Warning, Code: diag.CodeNothing,
			Message: "the file has no YAML block that is a configuration: nothing was checked",
			Hint:    "a block is checked where it has pipelines: at its outermost level, or its fence is ```yaml millrace"}})
	}
}

// IsMarkdown tells whether a file is Markdown, by its name.
func IsMarkdown(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".md" || ext == ".markdown"
}

// yamlBlock is a fenced block of YAML: the bytes of its lines, and the words
// behind the language.
type yamlBlock struct {
	start, end int
	text       string
	words      []string
}

var (
	fenceLine = regexp.MustCompile("^\\s*(?:[-*+]\\s+|\\d+[.)]\\s+)*(`{3,}|~{3,})(.*)$")
	outerKey  = regexp.MustCompile(`^(?:pipelines|"pipelines"|'pipelines')\s*:`)
	firstKey  = regexp.MustCompile(`^version:\s*1\s*(#.*)?$`)
)

// isConfiguration tells whether a block is more than a part of a configuration:
// it has `pipelines:` at its outermost level or begins with `version: 1`, or its
// fence says so: ```yaml millrace. A fence of ```yaml ignore says that it is
// none.
func (b yamlBlock) isConfiguration() bool {
	if slices.Contains(b.words, "ignore") || slices.Contains(b.words, "millrace") {
		return !slices.Contains(b.words, "ignore")
	}
	outermost := -1
	for line := range strings.Lines(b.text) {
		line = strings.TrimRight(line, "\r\n \t")
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' || text == "---" {
			continue
		}
		if outermost < 0 {
			if outermost = len(line) - len(text); firstKey.MatchString(text) {
				return true
			}
		}
		if len(line)-len(text) == outermost && outerKey.MatchString(text) {
			return true
		}
	}
	return false
}

// yamlBlocks finds the fenced blocks of a Markdown file whose language is YAML.
func yamlBlocks(text []byte) []yamlBlock {
	var blocks []yamlBlock
	var open *yamlBlock
	fence, at := "", 0
	for line := range strings.Lines(string(text)) {
		start := at
		at += len(line)
		m := fenceLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		switch {
		case m == nil:
		case fence == "":
			words := strings.FieldsFunc(m[2], func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
			fence, open = m[1], nil
			if len(words) > 0 && (strings.EqualFold(words[0], "yaml") || strings.EqualFold(words[0], "yml")) {
				open = &yamlBlock{start: at, words: words[1:]}
			}
		case m[1][0] == fence[0] && len(m[1]) >= len(fence) && strings.TrimSpace(m[2]) == "":
			if open != nil {
				open.end, open.text = start, string(text[open.start:start])
				blocks = append(blocks, *open)
			}
			fence, open = "", nil
		}
	}
	if open != nil {
		open.end, open.text = len(text), string(text[open.start:])
		blocks = append(blocks, *open)
	}
	return blocks
}
