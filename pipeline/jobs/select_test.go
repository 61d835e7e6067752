package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/oversize"
	"github.com/millrace/millrace/pipeline/plan"
)

func ids(all []ID) string { return strings.Trim(fmt.Sprint(all), "[]") }

// Of each partition the first letters are taken, among partitions the oldest, and each
// partition has a span.
func TestSpansTakeTheOldest(t *testing.T) {
	l := &Letters{Topic: "dead"}
	// By time; in partition 1 the clock went back once.
	found := &Listing{Found: []ID{{0, 3}, {1, 9}, {1, 7}, {0, 5}, {1, 12}}, Ends: map[int32]int64{0: 20, 1: 30, 2: 40}}
	shown := func(most int) string {
		spans, n := l.Spans(found, most)
		text := fmt.Sprint(n)
		for _, s := range spans {
			if s.Next != s.From || s.Topic != "dead" {
				t.Errorf("%+v", s)
			}
			text += fmt.Sprintf(" %d:%d-%d", s.Partition, s.From, s.Until)
		}
		return text
	}
	for most, want := range map[int]string{0: "5 0:3-6 1:7-13 2:40-40", 2: "2 0:3-4 1:7-8 2:40-40", 4: "4 0:3-6 1:7-10 2:40-40", 9: "5 0:3-6 1:7-13 2:40-40"} {
		if got := shown(most); got != want {
			t.Errorf("at most %d: %s, want %s", most, got, want)
		}
	}
}

// What is chosen is the same again when a job goes on, less what was resolved; what the
// job itself resolved is told, and what failed again without that being said.
func TestSelectAgain(t *testing.T) {
	l := lettersOf(t)
	if _, err := l.Admin.CreateTopics(t.Context(), []string{"dead.resolved"}, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	at := func(r *handlers.Record) *handlers.Record { r.Partition = 0; return r }
	var all []*handlers.Record
	for i := range int64(8) {
		r := at(l.letter(t, 0, i, func(whole *letters.Letter) {
			whole.Last = time.Unix(1000+i, 0)
			switch i {
			case 6:
				whole.Sink = "gone"
			case 7:
				whole.Round = 4
			}
		}))
		r.Key = []byte("one partition")
		all = append(all, r)
	}
	l.write(t, all...)
	partition := all[0].Partition
	job := api.Job{ID: "j", Kind: api.Redrive, Letters: &api.LetterChoice{MostRounds: 3}}
	p := &plan.Pipeline{Routes: []plan.Route{{Sinks: []plan.Sink{{Name: "s"}}}}}
	query, err := QueryOf(job, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := l.List(t.Context(), query)
	if err != nil || found.Matching != 6 || found.Exhausted != 1 || found.Orphans["gone"] != 1 {
		t.Fatal(found, err)
	}
	spans, n := l.Spans(found, 0)
	selected := func(wantChosen string) *Selection {
		t.Helper()
		s, err := l.Select(t.Context(), job, query, spans)
		if err != nil {
			t.Fatal(err)
		}
		var chosen []string
		for i := range int64(20) {
			if s.Has(&handlers.Record{Partition: partition, Offset: i}) {
				chosen = append(chosen, fmt.Sprint(i))
			}
		}
		if got := strings.Join(chosen, " "); got != wantChosen {
			t.Errorf("chosen: %s, want %s", got, wantChosen)
		}
		return s
	}
	if s := selected("0 1 2 3 4 5"); n != 6 || len(s.Done)+len(s.Late) > 0 {
		t.Errorf("%+v", s)
	}
	resolve := func(offset int64, how letters.Result, job string) *handlers.Record {
		r := letters.EncodeResolution(letters.Resolution{Letter: letters.Place{TopicID: found.TopicID, Partition: partition, Offset: offset}, How: how, Job: job})
		r.Topic, r.Partition, r.Offset = "dead.resolved", -1, -1
		return r
	}
	again := func(i int64, round int) *handlers.Record {
		r := at(l.letter(t, 0, i, func(whole *letters.Letter) { whole.Round, whole.Last = round, time.Unix(5000, 0) }))
		r.Key = []byte("one partition")
		return r
	}
	// 0 and 1 by the job, 2 by another one; 3 failed again and did not come to say so, 4
	// was dead-lettered by the pipeline itself.
	l.write(t, resolve(0, letters.Delivered, "j"), resolve(1, letters.Replaced, "j"), resolve(2, letters.Discarded, "other"), again(1, 2), again(3, 2), again(4, 1))
	s := selected("5")
	if fmt.Sprint(s.Done) != fmt.Sprint(map[ID]letters.Result{{partition, 0}: letters.Delivered, {partition, 1}: letters.Replaced}) || ids(s.Late) != fmt.Sprintf("%d/3", partition) {
		t.Errorf("done %v, late %v", s.Done, s.Late)
	}
	i := slices.IndexFunc(spans, func(s api.Span) bool { return s.Partition == partition })
	spans[i].Next = 4
	if s := selected("5"); len(s.Done)+len(s.Late) > 0 {
		t.Errorf("what is committed is told again: %+v", s)
	}
}

// What a letter does not hold is fetched by its place, and taken where it is the same.
func TestWhole(t *testing.T) {
	l := lettersOf(t)
	source := &handlers.Record{Topic: "in", Partition: -1, Offset: -1, Key: []byte("k"), Value: []byte("large"), Headers: []handlers.Header{{Key: "h", Value: []byte("v")}}}
	l.write(t, source)
	there, err := l.Admin.Topics(t.Context(), "in")
	if err != nil {
		t.Fatal(err)
	}
	part := func(p *oversize.Part) *letters.Part { return (*letters.Part)(p) }
	try := func(change func(*letters.Letter)) (letters.Letter, error) {
		whole := letters.Letter{TopicID: there[0].ID, Record: handlers.Record{Topic: "in", Partition: source.Partition, Offset: source.Offset}, Missing: letters.Missing{
			Key: part(oversize.PartOf(source.Key)), Value: part(oversize.PartOf(source.Value)), Headers: part(oversize.HeadersPart(source.Headers))}}
		if change != nil {
			change(&whole)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return whole, l.Whole(ctx, &whole)
	}
	whole, err := try(nil)
	if err != nil || string(whole.Record.Key) != "k" || string(whole.Record.Value) != "large" || len(whole.Record.Headers) != 1 || whole.Missing != (letters.Missing{}) {
		t.Errorf("%+v, %v", whole, err)
	}
	whole, err = try(func(l *letters.Letter) { l.Missing, l.Reason = letters.Missing{}, "unreadable" })
	if err != nil || string(whole.Record.Value) != "large" {
		t.Errorf("%+v, %v", whole, err)
	}
	if _, err := try(func(l *letters.Letter) { l.Missing, l.Record.Offset = letters.Missing{}, 99 }); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	for why, change := range map[string]func(*letters.Letter){
		"was made again":    func(l *letters.Letter) { l.TopicID[3] ^= 1 },
		"holds offsets":     func(l *letters.Letter) { l.Record.Offset = 99 },
		"another record":    func(l *letters.Letter) { l.Missing.Value.Digest = "other" },
		"not exist any":     func(l *letters.Letter) { l.Record.Topic = "never" },
		"is another record": func(l *letters.Letter) { l.Missing.Headers = part(oversize.PartOf([]byte("x"))) },
	} {
		if _, err := try(change); !errors.Is(err, letters.ErrSourceGone) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
