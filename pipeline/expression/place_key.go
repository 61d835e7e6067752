package expression

import "strings"

// escapedKey finds a key whose only parts are written $${ }, which is text.
func (t *Template) escapedKey() (Finding, bool) {
	if !strings.Contains(t.source, "$${") {
		return Finding{}, false
	}
	meant := strings.ReplaceAll(t.source, "$${", "${")
	from := strings.Index(t.source, "$${")
	return Finding{Offset: from, End: from + len("$${"), Code: CodeConstantKey,
		Message: "the key is the same for every record: $${ stands for the text ${, and nothing is put into it",
		Hint:    "a part of the record has one $: " + shorten(meant), Fix: meant}, true
}

// coarseKey warns of a key that many records share, since nothing but where they
// come from is a part of it.
func (s *Scope) coarseKey(t *Template) []Finding {
	partition := false
	for _, p := range t.pieces {
		if p.part == nil {
			continue
		}
		for _, r := range p.part.reads {
			switch strings.TrimPrefix(r.name, "source.") {
			case "topic":
			case "partition":
				partition = true
			default:
				return nil
			}
		}
	}
	f := Finding{End: len(t.source), Warning: true, Code: CodeConstantKey,
		Message: "the key is the same for every record of a topic", Hint: "name what makes an effect one: orders:${payload.order_id}"}
	switch {
	case partition:
		f.Message = "the key is the same for every record of a partition"
	case len(s.options.Topics) == 1:
		f.Message = "the key is the same for every record"
	}
	return []Finding{f}
}
