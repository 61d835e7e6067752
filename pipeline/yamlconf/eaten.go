package yamlconf

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
)

// maxEaten is how many texts without the quotes that they need are reported at
// once.
const maxEaten = 50

// standIn stands for each byte of a text that needs quotes, so that all places
// stay what they are.
const standIn = "x"

// eatenTexts parses a file around texts that lack quotes, so that one of them
// does not hide what else is wrong.
type eatenTexts struct {
	source *diag.Source
	text   []byte
	// texts are those texts, by where they begin.
	texts map[int]eatenText
}

// eatenText is where a text ends, and which of the problems is about it.
type eatenText struct{ end, problem int }

// decode decodes the first document and reports each text on the way. The error
// has been reported as well.
func (e *eatenTexts) decode(into *yaml.Node, problems *diag.Problems) (*yaml.Decoder, *countingReader, error) {
	for {
		reader := &countingReader{text: e.text}
		decoder := yaml.NewDecoder(reader)
		*into = yaml.Node{}
		err := decode(decoder, into)
		if err == nil || errors.Is(err, io.EOF) {
			return decoder, reader, err
		}
		p, from, to := syntaxProblem(e.source, e.text, err, reader.read)
		if len(e.texts) > 0 && strings.Contains(p.Message+p.Hint+p.Fix, strings.Repeat(standIn, 3)) {
			return decoder, reader, err
		}
		problems.Add(p)
		if from >= to || len(e.texts) == maxEaten || e.text[from] == '!' ||
			bytes.IndexByte(e.text[from:to], '\n') >= 0 {
			return decoder, reader, err
		}
		e.texts[from] = eatenText{to, len(*problems) - 1}
		e.text = bytes.Clone(e.text)
		copy(e.text[from:to], strings.Repeat(standIn, to-from))
	}
}

// restore gives the values their texts, and the problems the paths of those.
// It returns the values with their paths; false tells that one of the texts is none, so that it
// is not certain what was meant.
func (e *eatenTexts) restore(root *yaml.Node, problems diag.Problems) (map[*yaml.Node]diag.Path, bool) {
	values := map[*yaml.Node]diag.Path{}
	if len(e.texts) > 0 {
		e.walk(root, "", func(n *yaml.Node, from int, path diag.Path) {
			values[n] = path
			n.Value = string(e.source.Text()[from:e.texts[from].end])
			problems[e.texts[from].problem].Path = path
		})
	}
	return values, len(values) == len(e.texts)
}

func (e *eatenTexts) walk(n *yaml.Node, path diag.Path, found func(n *yaml.Node, from int, path diag.Path)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			e.walk(n.Content[i+1], path.Field(n.Content[i].Value), found)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			e.walk(item, path.Item(i), found)
		}
	case yaml.ScalarNode:
		from := e.source.NodeOffset(n)
		if text, ok := e.texts[from]; ok && len(n.Value) == text.end-from {
			found(n, from, path)
		}
	}
}
