package letters

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func TestDecodeIsTheReverseOfEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawLetter(t)
		got, err := Decode(Encode(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("written (-), read (+):\n%s", diff)
		}
	})
}

// What comes of a letter is dead-lettered again: its headers are replaced.
func TestLetterOfALetterHasEachHeaderOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawLetter(t), drawLetter(t)
		plain := first.Record
		redriven := *Encode(first)
		redriven.Topic, redriven.Partition, redriven.Offset, redriven.Time = plain.Topic, plain.Partition, plain.Offset, plain.Time
		second.Record, second.Missing = redriven, first.Missing
		again := Encode(second)
		seen := map[string]int{}
		for _, h := range again.Headers {
			if seen[h.Key]++; seen[h.Key] > 1 && find(fields(), h.Key) != nil {
				t.Fatalf("%s stands there twice", h.Key)
			}
		}
		second.Record = plain
		got, err := Decode(again)
		if diff := cmp.Diff(second, got); err != nil || diff != "" {
			t.Fatalf("%v, written (-), read (+):\n%s", err, diff)
		}
	})
}

// Whatever stands in a record's headers, reading it ends, and what is read once is
// read the same again.
func TestAnyHeadersCanBeRead(t *testing.T) {
	names := []string{"a"}
	for _, f := range fields() {
		names = append(names, f.name)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := &handlers.Record{Headers: rapid.SliceOf(rapid.Custom(func(t *rapid.T) handlers.Header {
			text := rapid.OneOf(rapid.StringMatching(`[-0-9,A-Za-z]{0,24}`), rapid.SampledFrom([]string{"1", "2", "2024-05-06T07:08:09Z"})).Draw(t, "text")
			return handlers.Header{Key: rapid.SampledFrom(names).Draw(t, "name"), Value: []byte(text)}
		})).Draw(t, "headers")}
		l, err := Decode(r)
		if err != nil {
			return
		}
		again, err := Decode(Encode(l))
		l.Record.Headers = again.Record.Headers // without the names of a letter's own
		if diff := cmp.Diff(l, again); err != nil || diff != "" {
			t.Fatalf("%v, read (-), and again (+):\n%s", err, diff)
		}
	})
}

func TestLettersOfVersionOneAreRead(t *testing.T) {
	header := func(key, value string) handlers.Header { return handlers.Header{Key: key, Value: []byte(value)} }
	r := &handlers.Record{Key: []byte("k"), Headers: []handlers.Header{
		// A record may carry headers of any name.
		header("trace", "t"), header("millrace-topic", "elsewhere"), header("millrace-offset", "7"),
		header("millrace-sink", "forged"), header("millrace-letter-version", "9"),
		header("millrace-topic", "orders"), header("millrace-partition", "3"), header("millrace-offset", "12"),
		header("millrace-timestamp", "2026-01-02T03:04:05.678Z"), header("millrace-pipeline", "p"),
		header("millrace-stage", "write"), header("millrace-reason", "attempts"), header("millrace-first-error", "boom"),
		header("millrace-last-error", "bang"), header("millrace-attempts", "5"), header("millrace-idempotency-key", "k:1"),
		header("millrace-config-digest", "abc"), header("millrace-value-sha256", "def"), header("millrace-value-bytes", "9"),
	}}
	want := Letter{
		Record: handlers.Record{Topic: "orders", Partition: 3, Offset: 12, Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
			Key: []byte("k"), Headers: r.Headers[:5]},
		Missing:  Missing{Value: &Part{"def", 9}},
		Pipeline: "p", Stage: "write", Reason: "attempts", FirstError: "boom", LastError: "bang",
		Attempts: 5, Round: 1, Key: "k:1", ConfigDigest: "abc",
	}
	got, err := Decode(r)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, want (-), read (+):\n%s", err, diff)
	}
}

// The names are what other programs read: they never change.
func TestLetterAsItIsWritten(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := Encode(Letter{
		Record:  handlers.Record{Topic: "orders", Partition: 3, Offset: 12, Time: at, Headers: []handlers.Header{{Key: "trace"}, {Key: "millrace-id"}}},
		TopicID: [16]byte{0xfb, 15: 1}, Missing: Missing{&Part{"a", 1}, nil, &Part{"c", 3}},
		Pipeline: "p", Sink: "s", Items: []int{3, 7}, Generation: 2, Key: "k", Stage: "write", Reason: "refused",
		FirstError: "boom", LastError: "bang", Attempts: 5, Round: 1, First: at, Last: at.Add(time.Second), ConfigDigest: "d",
	})
	var got []string
	for _, h := range r.Headers {
		got = append(got, h.Key+": "+string(h.Value))
	}
	want := []string{
		"trace: ", "millrace-id: ",
		"millrace-topic: orders", "millrace-letter-version: 2", "millrace-topic-id: -wAAAAAAAAAAAAAAAAAAAQ", "millrace-partition: 3",
		"millrace-offset: 12", "millrace-timestamp: 2026-01-02T03:04:05.000Z", "millrace-pipeline: p", "millrace-sink: s",
		"millrace-items: 3,7", "millrace-generation: 2", "millrace-stage: write", "millrace-reason: refused",
		"millrace-first-error: boom", "millrace-last-error: bang", "millrace-attempts: 5", "millrace-round: 1",
		"millrace-first-time: 2026-01-02T03:04:05.000Z", "millrace-last-time: 2026-01-02T03:04:06.000Z",
		"millrace-idempotency-key: k", "millrace-config-digest: d",
		"millrace-value-sha256: c", "millrace-value-bytes: 3", "millrace-key-sha256: a", "millrace-key-bytes: 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoLetterIsSaid(t *testing.T) {
	header := func(key, value string) handlers.Header { return handlers.Header{Key: key, Value: []byte(value)} }
	topic, partition, offset := header("millrace-topic", "t"), header("millrace-partition", "0"), header("millrace-offset", "1")
	for name, c := range map[string]struct {
		headers []handlers.Header
		none    bool
	}{
		"no headers":     {nil, true},
		"no coordinates": {[]handlers.Header{topic, partition}, true},
		"in front of it": {[]handlers.Header{partition, offset, topic}, true},
		"no number":      {[]handlers.Header{topic, partition, header("millrace-offset", "x")}, false},
		"no topic ID":    {[]handlers.Header{topic, partition, offset, header("millrace-topic-id", "AAAA")}, false},
		"no item":        {[]handlers.Header{topic, partition, offset, header("millrace-items", "1,")}, false},
	} {
		_, err := Decode(&handlers.Record{Headers: c.headers})
		if err == nil || errors.Is(err, ErrNone) != c.none {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := &VersionError{}
	_, err := Decode(&handlers.Record{Headers: []handlers.Header{topic, header("millrace-letter-version", "3"), header("millrace-partition", "new")}})
	if !errors.As(err, &later) || later.Version != 3 {
		t.Errorf("a letter of a later version: %v", err)
	}
}

// The documentation lists the headers, in the order in which they are written.
func TestHeadersAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Dead letters")
	table, _, _ = strings.Cut(table, "\n## ")
	var documented, written []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`(millrace-[a-z0-9-]+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	for _, f := range fields() {
		written = append(written, f.name)
	}
	if diff := cmp.Diff(written, documented); diff != "" {
		t.Errorf("written (-), documented (+):\n%s", diff)
	}
}

func drawLetter(t *rapid.T) Letter {
	text := func(label string) string { return rapid.OneOf(rapid.Just(""), rapid.String()).Draw(t, label) }
	bytes := func(label string) []byte {
		return rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOf(rapid.Byte())).Draw(t, label)
	}
	moment := func(label string) time.Time {
		if rapid.Bool().Draw(t, label+" is known") {
			return time.UnixMilli(rapid.Int64().Draw(t, label)).UTC()
		}
		return time.Time{}
	}
	part := func(label string) *Part {
		if rapid.Bool().Draw(t, label+" is missing") {
			return &Part{text(label + " digest"), rapid.IntMin(0).Draw(t, label+" bytes")}
		}
		return nil
	}
	l := Letter{
		Record: handlers.Record{
			Topic: rapid.StringN(1, -1, -1).Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Offset: rapid.Int64().Draw(t, "offset"), Time: moment("time"),
		},
		Missing:  Missing{part("key"), part("headers"), part("value")},
		Pipeline: text("pipeline"), Sink: text("sink"), Generation: rapid.Int().Draw(t, "generation"), Key: text("idempotency key"),
		Stage: text("stage"), Reason: text("reason"), FirstError: text("first error"), LastError: text("last error"),
		Attempts: rapid.Int().Draw(t, "attempts"), Round: rapid.Int().Draw(t, "round"), First: moment("first"), Last: moment("last"),
		ConfigDigest: text("config digest"),
	}
	copy(l.TopicID[:], bytes("topic ID"))
	if items := rapid.SliceOf(rapid.Int()).Draw(t, "items"); len(items) > 0 {
		l.Items = items
	}
	if l.Missing.Key == nil {
		l.Record.Key = bytes("key")
	}
	if l.Missing.Value == nil {
		l.Record.Value = bytes("value")
	}
	if l.Missing.Headers == nil && rapid.Bool().Draw(t, "has headers") {
		l.Record.Headers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) handlers.Header {
			return handlers.Header{Key: rapid.String().Draw(t, "name"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value")}
		}), 1, 3).Draw(t, "headers")
	}
	return l
}
