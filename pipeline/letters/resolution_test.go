package letters

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers"
)

func TestResolutionComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Resolution{
			Letter: Place{Partition: rapid.Int32Min(0).Draw(t, "partition"), Offset: rapid.Int64Min(0).Draw(t, "offset")},
			How:    rapid.SampledFrom([]Result{Delivered, Duplicate, Replaced, Discarded}).Draw(t, "how"),
			Time:   time.UnixMilli(rapid.Int64Range(0, 250_000_000_000_000).Draw(t, "time")).UTC(),
			By:     rapid.String().Draw(t, "by"), Job: rapid.String().Draw(t, "job"),
		}
		copy(want.Letter.TopicID[:], rapid.SliceOf(rapid.Byte()).Draw(t, "topic ID"))
		got, err := DecodeResolution(EncodeResolution(want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v, want (-), got (+):\n%s", err, diff)
		}
	})
}

// The form is what other programs, and other versions, read: it never changes.
func TestResolutionAsItIsWritten(t *testing.T) {
	r := EncodeResolution(Resolution{Place{[16]byte{0xfb, 15: 1}, 3, 12}, Replaced, time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "ann@box", "j-1"})
	if got, want := string(r.Key), "-wAAAAAAAAAAAAAAAAAAAQ/3/12"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if got, want := string(r.Value), `{"version":1,"how":"replaced","time":"2026-01-02T03:04:05.006Z","by":"ann@box","job":"j-1"}`; got != want {
		t.Errorf("value %s, want %s", got, want)
	}
}

func TestResolutionThatCannotBeRead(t *testing.T) {
	const key = "-wAAAAAAAAAAAAAAAAAAAQ/3/12"
	for value, want := range map[string]string{
		`{"version":2,"how":"delivered","time":"2026-01-02T03:04:05Z"}`: "version 2 of its format, and this Millrace reads up to 1",
		`{"version":1,"how":"sold","time":"2026-01-02T03:04:05Z"}`:      `no such way to resolve a dead letter: "sold"`,
		`{"version":1,"how":"delivered","time":"now"}`:                  "when a dead letter was resolved",
		`nothing`: "how a dead letter was resolved",
	} {
		got, err := DecodeResolution(&handlers.Record{Key: []byte(key), Value: []byte(value)})
		if err == nil || !strings.Contains(err.Error(), want) || got.Letter != (Place{[16]byte{0xfb, 15: 1}, 3, 12}) {
			t.Errorf("%s: %+v, %v", value, got, err)
		}
	}
	for _, key := range []string{"", "k", "a/b/c", "-wAAAAAAAAAAAAAAAAAAAQ/3", "-wAAAAAAAAAAAAAAAAAAAQ/-1/0", "-wAAAAAAAAAAAAAAAAAAAQ/4294967296/0", "-wAA/3/12"} {
		if got, err := DecodeResolution(&handlers.Record{Key: []byte(key), Value: []byte("{}")}); !errors.Is(err, ErrNoResolution) {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
	}
}
