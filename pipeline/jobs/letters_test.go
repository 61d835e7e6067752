package jobs

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/letters"
)

// lettersOf are those of pipeline p on a broker of their own.
func lettersOf(t *testing.T) *Letters {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	broker, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	l := &Letters{
		Pipeline: "p", Topic: "dead", Resolved: "dead.resolved",
		Settings: kafka.Settings{Brokers: []string{broker.Addr()}}, Deps: kafka.Deps{Logger: log},
	}
	if l.Admin, err = kafka.NewAdmin(l.Settings, l.Deps); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Admin.Close)
	if _, err := l.Admin.CreateTopics(t.Context(), []string{"dead", "in"}, 3, 1, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *Letters) write(t *testing.T, records ...*handlers.Record) {
	t.Helper()
	publisher, err := kafka.NewPublisher(l.Settings, l.Deps)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	if err := publisher.Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// letter is the encoded letter of a record of `in`.
func (l *Letters) letter(t *testing.T, partition int32, offset int64, change func(*letters.Letter)) *handlers.Record {
	whole := letters.Letter{Record: handlers.Record{Topic: "in", Partition: partition, Offset: offset, Key: fmt.Append(nil, offset)}, Pipeline: "p", Sink: "s", Reason: "refused", Round: 1}
	if change != nil {
		change(&whole)
	}
	r := letters.Encode(whole)
	r.Topic, r.Partition, r.Offset = "dead", -1, -1
	return r
}

// A topic that is larger than what is looked at at a time is read in passes, up to its
// end of the start: what is found, and where, is the same.
func TestListInPasses(t *testing.T) {
	l := lettersOf(t)
	var records []*handlers.Record
	for i := range 90 {
		records = append(records, l.letter(t, 0, int64(i%60), nil)) // 30 of them twice
	}
	l.write(t, records...)
	want, err := l.List(t.Context(), Query{})
	if err != nil || want.Open != 60 || want.Matching != 60 || len(want.Found) != 60 {
		t.Fatal(want, err)
	}
	reads := 0
	l.perPass, l.OnRead = 7, func(n int) {
		if reads += n; reads == 90 {
			l.write(t, l.letter(t, 1, 1000, nil))
		}
	}
	got, err := l.List(t.Context(), Query{})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v: at once (-), in passes (+):\n%s", err, diff)
	}
	if reads != 90*13 {
		t.Errorf("%d records were read, want 90 in 13 passes", reads)
	}
	seen := map[ID]bool{}
	err = l.Each(t.Context(), want.Found[10:30], func(letter *Letter) error {
		seen[letter.ID] = true
		return nil
	})
	for i, id := range want.Found {
		if seen[id] != (i >= 10 && i < 30) {
			t.Errorf("letter %s was visited: %v", id, seen[id])
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Of a letter that lacks a part of its record it is said where that is.
func TestWhereTheRestOfALetterIs(t *testing.T) {
	l := lettersOf(t)
	l.write(t, &handlers.Record{Topic: "in", Partition: 0, Offset: -1, Value: []byte("v")})
	there, err := l.Admin.Topics(t.Context(), "in")
	if err != nil || len(there) != 1 {
		t.Fatal(there, err)
	}
	in := int32(-1)
	ends, err := l.Admin.EndOffsets(t.Context(), "in")
	for number, end := range ends["in"] {
		if end > 0 {
			in = number
		}
	}
	if err != nil || in < 0 {
		t.Fatal(ends, err)
	}
	var records []*handlers.Record
	wants := []string{fmt.Sprintf("in in/%d/0", in), "in in/", "gone: the log of in/", "gone: topic in was made again", "gone: topic was does not exist any more", ""}
	for i := range wants {
		r := l.letter(t, in, 0, func(letter *letters.Letter) {
			letter.Missing.Value, letter.TopicID = &letters.Part{Digest: "abc", Bytes: 5}, there[0].ID
			switch i {
			case 1:
				letter.TopicID = [16]byte{}
			case 2:
				letter.Record.Offset = 7
			case 3:
				letter.TopicID[0] ^= 1
			case 4:
				letter.Record.Topic = "was"
			case 5:
				letter.Missing.Value = nil
			}
		})
		r.Key = []byte("k") // so that they lie in one partition, in order
		records = append(records, r)
	}
	l.write(t, records...)
	listing, err := l.List(t.Context(), Query{})
	if err != nil || listing.Open != 5 { // the last is of the same record as the first
		t.Fatalf("%+v, %v", listing, err)
	}
	partition := listing.Found[0].Partition
	var got []string
	ids := make([]ID, len(wants))
	for i := range ids {
		ids[i] = ID{partition, int64(i)}
	}
	err = l.Show(t.Context(), ids, func(letter *Letter) error {
		got = append(got, letter.Where)
		return nil
	})
	if err != nil || len(got) != len(wants) {
		t.Fatal(got, err)
	}
	for i, want := range wants {
		if !strings.HasPrefix(got[i], want) || (want == "") != (got[i] == "") {
			t.Errorf("letter %d: %q, want %q", i, got[i], want)
		}
	}
}
