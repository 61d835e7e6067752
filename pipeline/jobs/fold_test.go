package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
)

// written is a letter as it lies in its topic.
type written struct {
	letters.Letter
	id       ID
	resolved letters.Result // empty where it is open
}

// drawTopic makes a topic of dead letters, in the order in which they were written,
// one second apart: of few records, so that a record has several.
func drawTopic(t *rapid.T) []written {
	ends := map[int32]int64{}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := make([]written, rapid.IntRange(0, 40).Draw(t, "letters"))
	for i := range all {
		w := &all[i]
		w.id.Partition = rapid.Int32Range(0, 2).Draw(t, "partition")
		w.id.Offset = ends[w.id.Partition]
		ends[w.id.Partition]++
		w.Record = handlers.Record{Topic: "orders", Offset: rapid.Int64Range(0, 3).Draw(t, "record"), Value: []byte("v")}
		w.TopicID[0] = byte(rapid.IntRange(0, 1).Draw(t, "topic"))
		w.Pipeline = rapid.SampledFrom([]string{"p", "p", "p", "q"}).Draw(t, "pipeline")
		w.Sink = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "sink")
		w.Stage, w.Reason = "write", rapid.SampledFrom([]string{"refused", "attempts"}).Draw(t, "reason")
		w.Round = rapid.IntRange(1, 3).Draw(t, "round")
		w.Last = begin.Add(time.Duration(i) * time.Second)
		w.resolved = rapid.SampledFrom([]letters.Result{"", "", letters.Delivered, letters.Replaced, letters.Discarded}).Draw(t, "resolved")
	}
	return all
}

// folded is what fold makes of a topic, in some passes.
func folded(topic []written, q Query, passes uint64) *Listing {
	done := resolved{map[int32]*bits{}, map[int32]*bits{}}
	for n := range int32(3) {
		done.all[n], done.old[n] = &bits{end: 100}, &bits{end: 100}
	}
	for _, w := range topic {
		done.all[w.id.Partition].set(w.id.Offset, w.resolved != "")
		done.old[w.id.Partition].set(w.id.Offset, w.resolved == letters.Replaced)
	}
	f := newFold("p", q, done, passes)
	for f.pass = range passes {
		for _, w := range topic {
			r := letters.Encode(w.Letter)
			r.Partition, r.Offset = w.id.Partition, w.id.Offset
			f.add(r)
		}
		f.finishPass()
	}
	return f.listing()
}

// However many passes it takes, what is found is the latest letter of each record and
// sink that is not resolved.
func TestFoldFindsWhatIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topic := drawTopic(t)
		q := Query{Newest: rapid.IntRange(-1, 5).Draw(t, "newest"), Round: rapid.IntRange(0, 2).Draw(t, "round")}
		if rapid.Bool().Draw(t, "by reason") {
			q.Reasons = []string{"refused"}
		}
		if rapid.Bool().Draw(t, "by sink") {
			q.Sinks = []string{"", "b"}
		}
		latest, want := map[string]written{}, Listing{Others: map[string]int{}}
		for _, w := range topic {
			switch {
			case w.Pipeline != "p":
				want.Others[w.Pipeline]++
				continue
			case w.resolved != "":
				want.Resolved++
			}
			if w.resolved != letters.Replaced {
				latest[fmt.Sprint(w.TopicID, w.Record.Offset, w.Sink)] = w
			}
		}
		for _, w := range topic {
			if w.resolved != "" || w.Pipeline != "p" || latest[fmt.Sprint(w.TopicID, w.Record.Offset, w.Sink)].id != w.id {
				continue
			}
			want.Open++
			if (q.Reasons == nil || w.Reason == "refused") && (q.Sinks == nil || w.Sink != "a") && (q.Round == 0 || w.Round == q.Round) {
				want.Matching++
				want.Found = append(want.Found, w.id)
			}
		}
		if q.Newest > 0 && len(want.Found) > q.Newest {
			want.Found = want.Found[len(want.Found)-q.Newest:]
		}
		for passes := range uint64(3) {
			got := folded(topic, q, passes+1)
			open, matching := 0, 0
			for _, g := range got.Groups {
				open, matching = open+g.Open, matching+g.Matching
			}
			if open != got.Open || matching != got.Matching {
				t.Errorf("the groups count %d and %d, and there are %d and %d", open, matching, got.Open, got.Matching)
			}
			got.Groups = nil
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Fatalf("in %d passes, want (-), got (+):\n%s", passes+1, diff)
			}
		}
	})
}

func TestFoldCountsByWhatFailed(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var topic []written
	for i := range 6 {
		w := written{id: ID{0, int64(i)}}
		w.Record.Topic, w.Record.Offset, w.Pipeline, w.Sink, w.Stage, w.Reason = "orders", int64(i), "p", "http", "write", "refused"
		if i > 3 {
			w.Sink, w.Stage, w.Reason = "", "decode", "decode_failed"
		}
		w.Last = at.Add(time.Duration(i) * time.Minute)
		topic = append(topic, w)
	}
	got := folded(topic, Query{Since: at.Add(time.Minute), Until: at.Add(5 * time.Minute)}, 1)
	want := []Group{
		{Sink: "http", Stage: "write", Reason: "refused", Open: 4, Matching: 3, Oldest: at.Add(time.Minute), Newest: at.Add(3 * time.Minute)},
		{Stage: "decode", Reason: "decode_failed", Open: 2, Matching: 1, Oldest: at.Add(4 * time.Minute), Newest: at.Add(4 * time.Minute)},
	}
	if diff := cmp.Diff(want, got.Groups); diff != "" {
		t.Error(diff)
	}
}

// What can't be read is counted apart, and said.
func TestFoldCountsWhatIsNoLetter(t *testing.T) {
	f := newFold("p", Query{}, resolved{}, 1)
	header := func(key, value string) handlers.Header { return handlers.Header{Key: key, Value: []byte(value)} }
	f.add(&handlers.Record{})
	f.add(&handlers.Record{Headers: []handlers.Header{header("millrace-topic", "t"), header("millrace-letter-version", "9")}})
	f.add(&handlers.Record{Headers: []handlers.Header{header("millrace-topic", "t"), header("millrace-offset", "x")}})
	f.finishPass()
	got := f.listing()
	if got.Strange != 2 || got.Later != 1 || got.Open != 0 || !strings.Contains(got.LaterErr.Error(), "version 9") || !strings.Contains(got.StrangeErr.Error(), "no dead letter") {
		t.Errorf("%+v", got)
	}
}

// Between partitions, whose writers' clocks may differ, the times decide; within one
// the offsets do.
func TestLaterLetter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct{ earlier, later held }{
		"by offset":        {held{id: ID{1, 7}, at: at.Add(time.Minute)}, held{id: ID{1, 8}, at: at}},
		"by time":          {held{id: ID{2, 9}, at: at}, held{id: ID{1, 8}, at: at.Add(time.Minute)}},
		"at the same time": {held{id: ID{1, 9}, at: at}, held{id: ID{2, 8}, at: at}},
	} {
		if !c.later.after(c.earlier) || c.earlier.after(c.later) {
			t.Error(name)
		}
	}
}

func TestBitsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1000).Draw(t, "start")
		b := &bits{start: start, end: start + 200}
		want := map[int64]bool{}
		for range rapid.IntRange(0, 50).Draw(t, "changes") {
			offset, in := rapid.Int64Range(start-10, start+210).Draw(t, "offset"), rapid.Bool().Draw(t, "in")
			b.set(offset, in)
			want[offset] = in && offset >= start && offset < start+200
		}
		for offset := start - 10; offset < start+210; offset++ {
			if b.has(offset) != want[offset] {
				t.Fatalf("%d is in: %v", offset, b.has(offset))
			}
		}
	})
	if none := (*bits)(nil); none.has(3) {
		t.Error("nothing has 3")
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]ID{"0/0": {0, 0}, "3/120": {3, 120}} {
		if got, err := ParseID(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	wrong := []string{"", "1", "1/", "/1", "a/1", "1/a", "-1/1", "1/-1", "1/2/3", "4294967296/1", "orders/0/1"}
	if i := slices.IndexFunc(wrong, func(text string) bool { _, err := ParseID(text); return err == nil }); i >= 0 {
		t.Errorf("%q is taken for an id", wrong[i])
	}
}
