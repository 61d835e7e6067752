package kafka

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTrackerFollowsTheFinishedPrefix compares the tracker with the plainest
// model: a list of offsets, with gaps, and which of them are finished.
func TestTrackerFollowsTheFinishedPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		offset := rapid.Int64Range(0, 100).Draw(rt, "start")
		tr := newTracker(offset, -1)
		type entry struct {
			s        *slot
			finished bool
		}
		var model []entry
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				slots := make([]slot, rapid.IntRange(0, 5).Draw(rt, "n"))
				for i := range slots {
					offset += rapid.Int64Range(0, 3).Draw(rt, "gap")
					slots[i].record.Offset, slots[i].epoch = offset, int32(offset%7)
					slots[i].size = rapid.Int32Range(0, 50).Draw(rt, "size")
					offset++
				}
				tr.add(slots)
				for i := range slots {
					model = append(model, entry{s: &slots[i]})
				}
			},
			"finish": func(rt *rapid.T) {
				if len(model) == 0 {
					rt.Skip("nothing delivered")
				}
				i := rapid.IntRange(0, len(model)-1).Draw(rt, "index")
				model[i].finished = true
				model[i].s.done.Store(true)
			},
			"advance": func(*rapid.T) { tr.advance() },
			"": func(rt *rapid.T) {
				next, epoch, prefix := tr.next, tr.epoch, 0
				for prefix < len(model) && model[prefix].s.record.Offset < next {
					if !model[prefix].finished {
						rt.Fatalf("offset %d is committed and record %d is not finished", next, model[prefix].s.record.Offset)
					}
					prefix++
				}
				if prefix > 0 && (model[prefix-1].s.record.Offset+1 != next || model[prefix-1].s.epoch != epoch) {
					rt.Fatalf("position %d epoch %d after record %d", next, epoch, model[prefix-1].s.record.Offset)
				}
				var bytes int64
				unfinished := 0
				for _, e := range model[prefix:] {
					bytes += int64(e.s.size)
					if !e.finished {
						unfinished++
					}
				}
				if tr.pending != len(model)-prefix || tr.bytes != bytes || tr.unfinished() != unfinished {
					rt.Fatalf("span %d records %d bytes %d unfinished, want %d %d %d",
						tr.pending, tr.bytes, tr.unfinished(), len(model)-prefix, bytes, unfinished)
				}
			},
		})
		for _, e := range model {
			e.s.done.Store(true)
		}
		tr.advance()
		if tr.pending != 0 || tr.bytes != 0 || (len(model) > 0 && tr.next != offset) {
			rt.Fatalf("all finished: span %d records, position %d, want 0 and %d", tr.pending, tr.next, offset)
		}
	})
}

func TestNotesSurviveTheirText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := note{epoch: rapid.StringMatching(`[^ ]*`).Draw(rt, "epoch"), text: rapid.String().Draw(rt, "text")}
		copy(n.topicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "id"))
		if got, ok := parseNote(n.String()); !ok || got != n {
			rt.Fatalf("%q reads as %v, %v", n.String(), got, ok)
		}
	})
	for _, foreign := range []string{"", "consumer-1-uuid", "millrace/1 ", "millrace/1 00ff epoch", "millrace/1 " + "zz"} {
		if n, ok := parseNote(foreign); ok {
			t.Errorf("%q reads as %v", foreign, n)
		}
	}
}
