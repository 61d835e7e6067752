package expression

import (
	"strings"

	"github.com/millrace/millrace/handlers"
)

// ByTopic are the texts that a template of the scope renders to for records of each
// of topics, where nothing else of a record decides that; else it has none. An error
// is what records of one of the topics meet.
func (s *Scope) ByTopic(t *Template, topics []string) (texts []string, failed error) {
	parts := 0
	for _, p := range t.pieces {
		if p.part == nil {
			continue
		}
		parts++
		for _, r := range p.part.reads {
			if strings.TrimPrefix(r.name, "source.") != "topic" {
				return nil, nil
			}
		}
	}
	if parts == 0 {
		return nil, nil
	}
	in := s.NewInput()
	in.Follow(in)
	for _, topic := range topics {
		in.rec = &handlers.Record{Topic: topic}
		text, err := t.Text(in)
		if err != nil {
			return texts, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
