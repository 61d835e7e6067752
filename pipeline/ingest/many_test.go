package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/ingest"
)

func many(t *testing.T, p *producer) http.Handler {
	t.Helper()
	key := plan(t).Routes[0]
	return ingest.New(&ingest.Plan{Routes: []ingest.Route{
		{Path: "/many", Topic: "m", Many: true, Scope: key.Scope, Key: key.Key, Schema: schemaOf(t, schemaText), MaxBytes: 100, Headers: []string{"traceparent", "x-tag"}},
		{Path: "/one", Topic: "o", Headers: []string{"x-tag"}},
	}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
}

func TestMany(t *testing.T) {
	const order = `{"order_id":"o-1"}`
	for name, c := range map[string]struct {
		body, media string
		status      int
		want        string
		keys        string
	}{
		"an array":          {"[" + order + `, {"order_id":"o-2","total":2} ]`, "", 202, `{"topic":"m","records":2}`, "o-1 o-2"},
		"lines":             {"\n" + order + "\r\n \n{\"order_id\":\"o-2\"}", "application/x-ndjson", 202, `{"topic":"m","records":2}`, "o-1 o-2"},
		"one":               {order, "", 202, `{"topic":"m","records":1}`, "o-1"},
		"no items":          {"[ ]", "", 400, `{"error":"there is no record in the body"}`, ""},
		"no lines":          {"\n\n", "application/x-ndjson", 400, `{"error":"there is no record in the body"}`, ""},
		"one of them wrong": {"[" + order + `,{"order_id":"o-2","total":"x"},` + order + "]", "", 400, `{"error":"the record does not fit the topic's schema","record":2,"records":3,"reasons":[{"path":"/total","message":"got string, want integer"}]}`, ""},
		"a broken line":     {order + "\n{\n", "application/x-ndjson", 400, `{"error":"the body is not JSON","record":2,"records":2,`, ""},
		"a broken array":    {"[" + order, "", 400, `{"error":"the body is not JSON","reasons":[{"path":"","message":"unexpected EOF"}]}`, ""},
		"more after it":     {"[" + order + "] 1", "", 400, `{"error":"the body is not JSON",`, ""},
		"one too large":     {"[" + order + `,"` + strings.Repeat("x", 100) + `"]`, "", 413, `{"error":"the record is larger than 100 bytes, which is ingest.max_record_bytes","record":2,"records":2}`, ""},
		"all too large":     {"[" + strings.Repeat(order+",", 50) + "1]", "", 413, `{"error":"the body is larger than 800 bytes, which is 8 times ingest.max_record_bytes: send fewer records"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			w := post(many(t, p), "/many", c.body, func(r *http.Request) {
				if c.media != "" {
					r.Header.Set("Content-Type", c.media)
				}
			})
			if w.Code != c.status || !strings.HasPrefix(text(w), c.want) {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, c.status, c.want)
			}
			var keys []string
			for _, r := range p.records() {
				keys = append(keys, string(r.Key))
			}
			if got := strings.Join(keys, " "); got != c.keys {
				t.Errorf("records %q were written, want %q", got, c.keys)
			}
		})
	}
	if w := post(many(t, &producer{}), "/one", order, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-ndjson") }); w.Code != 415 {
		t.Errorf("lines for a route of one: %d %s", w.Code, w.Body)
	}
}

// The records of an array have its bytes, of whatever kind the items are.
func TestItemsAsTheyCame(t *testing.T) {
	p := &producer{}
	s := ingest.New(&ingest.Plan{Routes: []ingest.Route{{Path: "/many", Topic: "m", Many: true}}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	items := []string{"1", "-1.50e+3", `"a\u0041 \" ]"`, "null", "true", `{ "a" : [ 1 , 2 ] }`, "[ ]", `"` + strings.Repeat("ä", 3000) + `"`, "7"}
	for _, between := range []string{",", " , ", "\n,\r\n\t"} {
		p.written = nil
		if w := post(s, "/many", " ["+strings.Join(items, between)+" ] \n", nil); w.Code != 202 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		var got []string
		for _, r := range p.records() {
			got = append(got, string(r.Value))
		}
		if diff := cmp.Diff(items, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTooManyRecords(t *testing.T) {
	s := ingest.New(&ingest.Plan{Routes: []ingest.Route{{Path: "/many", Topic: "m", Many: true}}}, &producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	for _, body := range []string{"[" + strings.Repeat("1,", 10_000) + "1]", strings.Repeat("1\n", 10_001)} {
		w := post(s, "/many", body, func(r *http.Request) {
			if body[0] != '[' {
				r.Header.Set("Content-Type", "application/x-ndjson")
			}
		})
		if w.Code != 413 || text(w) != `{"error":"there are more than 10000 records in the body: send fewer at once"}` {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}

func TestCarriedHeaders(t *testing.T) {
	p := &producer{}
	s := many(t, p)
	w := post(s, "/many", `[{"order_id":"o-1"},{"order_id":"o-2"}]`, func(r *http.Request) {
		r.Header.Set("Traceparent", "00-1")
		r.Header["X-Tag"] = []string{"a", "b"}
		r.Header.Set("X-Other", "no")
		r.Header.Set("Idempotency-Key", "k")
	})
	if w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	want := []map[string]string{
		{"idempotency-key": "k#1;", "traceparent": "00-1;", "x-tag": "a;b;"},
		{"idempotency-key": "k#2;", "traceparent": "00-1;", "x-tag": "a;b;"},
	}
	if diff := cmp.Diff(want, []map[string]string{headersOf(p.records()[0]), headersOf(p.records()[1])}); diff != "" {
		t.Error(diff)
	}
	w = post(s, "/one", "1", func(r *http.Request) { r.Header.Set("X-Tag", strings.Repeat("x", 8<<10)) })
	if w.Code != 431 || !strings.HasPrefix(text(w), `{"error":"the headers that a record takes along are larger`) {
		t.Errorf("too much: %d %s", w.Code, w.Body)
	}
}

// Kafka may take some and not others; the answer says so.
func TestPartlyDurable(t *testing.T) {
	p := &failing{&handlers.BatchError{Failed: map[int]*handlers.Failure{
		1: {Class: handlers.Unknown, Err: errors.New("x")}, 2: handlers.Permanent(handlers.ErrTooLarge),
	}}}
	s := ingest.New(&ingest.Plan{Routes: []ingest.Route{{Path: "/many", Topic: "m", Many: true}}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	w := post(s, "/many", "[1,2,3,4]", nil)
	if want := `{"error":"the broker refuses the record as too large: its topic's max.message.bytes is smaller","record":3,"records":4,"durable":2}`; w.Code != 413 || text(w) != want {
		t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
	}
	delete(p.err.Failed, 2)
	w = post(s, "/many", "[1,2,3,4]", nil)
	if want := `{"error":"the record is not known to be durable: send it again","record":2,"records":4,"durable":3}`; w.Code != 503 || text(w) != want {
		t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
	}
}

type failing struct{ err *handlers.BatchError }

func (f *failing) Produce(context.Context, []*handlers.Record) error { return f.err }

func TestLongKey(t *testing.T) {
	key := plan(t).Routes[0]
	p := &producer{}
	s := ingest.New(&ingest.Plan{Routes: []ingest.Route{{Path: "/o", Topic: "o", Scope: key.Scope, Key: key.Key}}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	body := func(n int) string { return `{"order_id":"` + strings.Repeat("k", n) + `"}` }
	if w := post(s, "/o", body(16<<10), nil); w.Code != 202 {
		t.Errorf("the longest key: %d %s", w.Code, w.Body)
	}
	if w := post(s, "/o", body(16<<10+1), nil); w.Code != 400 || !strings.Contains(text(w), "it is longer than 16384 bytes") {
		t.Errorf("a longer key: %d %s", w.Code, w.Body)
	}
}
