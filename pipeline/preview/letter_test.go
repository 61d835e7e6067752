package preview

import (
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
)

// A dead letter is the record's where pipeline and coordinates are, whatever the
// record itself holds.
func TestLetterOfTheRecord(t *testing.T) {
	own := handlers.Record{Topic: "orders", Offset: 3, Headers: []handlers.Header{{Key: "millrace-sink", Value: []byte("forged")}}}
	x := &Explanation{Pipeline: "p", Record: &own}
	for name, c := range map[string]struct {
		letter letters.Letter
		want   bool
	}{
		"own":              {letters.Letter{Record: own, Pipeline: "p", Stage: "decode"}, true},
		"another pipeline": {letters.Letter{Record: own, Pipeline: "q", Stage: "decode"}, false},
		"another record":   {letters.Letter{Record: handlers.Record{Topic: "orders", Offset: 4}, Pipeline: "p"}, false},
	} {
		letter, ok, err := letterOf(letters.Encode(c.letter), x)
		if ok != c.want || err != nil || ok && (letter.Sink != "" || letter.Stage != "decode") {
			t.Errorf("%s: got %+v, %v, %v", name, letter, ok, err)
		}
	}
	later := &handlers.Record{Headers: []handlers.Header{{Key: "millrace-topic"}, {Key: "millrace-letter-version", Value: []byte("99")}}}
	if _, ok, err := letterOf(later, x); ok || err == nil {
		t.Errorf("a letter of a later version: %v, %v", ok, err)
	}
	if _, ok, err := letterOf(&own, x); ok || err != nil {
		t.Errorf("no letter: %v, %v", ok, err)
	}
}
