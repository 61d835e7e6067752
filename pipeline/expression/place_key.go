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

// coarseKey warns of a key that different records share, since nothing but a
// part of where they come from is in it: all but the first would be skipped.
func (s *Scope) coarseKey(t *Template) []Finding {
	has := map[string]bool{}
	for _, p := range t.pieces {
		if p.part == nil {
			continue
		}
		for _, r := range p.part.reads {
			name := strings.TrimPrefix(r.name, "source.")
			if name != "topic" && name != "partition" && name != "offset" {
				return nil
			}
			has[name] = true
		}
	}
	f := Finding{End: len(t.source), Warning: true, Code: CodeConstantKey,
		Message: "the key is the same for every record of a topic",
		Hint:    "name what makes an effect one: orders:${payload.order_id}"}
	several := len(s.options.Topics) != 1
	switch {
	case has["offset"]:
		missing := ""
		partition := !s.options.OnePartition && !has["partition"]
		switch topic := several && !has["topic"]; {
		case partition && topic:
			f.Message = "records of different topics and partitions share the key: each partition counts its offsets " +
				"from 0"
			missing = "${topic}-${partition}-"
		case partition:
			f.Message = "records of different partitions share the key: each counts its offsets from 0"
			missing = "${partition}-"
		case topic:
			f.Message = "records of different topics share the key: each has the same partitions and offsets"
			missing = "${topic}-"
		default:
			return nil
		}
		f.Hint = "put " + missing + " before it; or name what makes an effect one, " +
			"which also holds where a producer sends it twice: orders:${payload.order_id}"
	case has["partition"]:
		f.Message = "the key is the same for every record of a partition"
	case !several:
		f.Message = "the key is the same for every record"
	}
	return []Finding{f}
}
