package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
)

func TestAccepted(t *testing.T) {
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Add(pairs[i], pairs[i+1])
			}
		}
	}
	for name, c := range map[string]struct {
		path, body string
		change     func(*http.Request)
		want       handlers.Record
	}{
		"key from the payload, bytes as they came": {
			path: "/orders", body: " {\"order_id\": \"o-1\",\n\"n\":1.0}\n",
			want: handlers.Record{Topic: "orders", Key: []byte("o-1"), Value: []byte(" {\"order_id\": \"o-1\",\n\"n\":1.0}\n")},
		},
		"key from a header": {
			path: "/orders", body: "{}", change: header("X-Order", "o-2"),
			want: handlers.Record{Topic: "orders", Key: []byte("o-2"), Value: []byte("{}")},
		},
		"a number as the key": {
			path: "/orders", body: `{"order_id": 9007199254740993}`,
			want: handlers.Record{Topic: "orders", Key: []byte("9007199254740993"), Value: []byte(`{"order_id": 9007199254740993}`)},
		},
		"no key": {
			path: "/plain", body: "null",
			want: handlers.Record{Topic: "plain", Value: []byte("null")},
		},
		"idempotency key": {
			path: "/plain", body: "1", change: header("Idempotency-Key", "a b~"),
			want: handlers.Record{Topic: "plain", Value: []byte("1"), Headers: []handlers.Header{{Key: "idempotency-key", Value: []byte("a b~")}}},
		},
		"a JSON type with parameters": {
			path: "/plain", body: "1", change: func(r *http.Request) { r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8") },
			want: handlers.Record{Topic: "plain", Value: []byte("1")},
		},
		"no type": {
			path: "/plain", body: "1", change: func(r *http.Request) { r.Header.Del("Content-Type") },
			want: handlers.Record{Topic: "plain", Value: []byte("1")},
		},
		"fits the schema exactly": {
			path: "/checked", body: `{"order_id":"o-1","total":9007199254740993}`,
			want: handlers.Record{Topic: "checked", Value: []byte(`{"order_id":"o-1","total":9007199254740993}`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			var told []string
			w := post(server(t, p, func(route string, status int) { told = append(told, fmt.Sprint(route, status)) }), c.path, c.body, c.change)
			if want := fmt.Sprintf(`{"topic":"%s","partition":2,"offset":0}`, c.want.Topic); w.Code != 202 || text(w) != want {
				t.Fatalf("got %d %s, want 202 %s", w.Code, w.Body, want)
			}
			c.want.Partition = 2
			if diff := cmp.Diff([]handlers.Record{c.want}, p.records()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{c.path + "202"}, told); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for name, c := range map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
		want       string
		header     [2]string
	}{
		"unknown path":       {path: "/other", body: "1", status: 404, want: `{"error":"there is no route of this path"}`},
		"another method":     {path: "/plain", change: func(r *http.Request) { r.Method = "GET" }, status: 405, want: `{"error":"send a record with POST"}`, header: [2]string{"Allow", "POST"}},
		"a form":             {path: "/plain", body: "a=1", change: header("Content-Type", "application/x-www-form-urlencoded"), status: 415, want: `{"error":"send the record as JSON, with the header Content-Type: application/json"}`},
		"a page elsewhere":   {path: "/plain", body: "1", change: header("Sec-Fetch-Site", "cross-site"), status: 403, want: `{"error":"requests from pages of another origin are not taken"}`},
		"announced too long": {path: "/plain", body: long, status: 413, want: `{"error":"the record is larger than 100 bytes, which is ingest.max_record_bytes"}`, header: [2]string{"Connection", "close"}},
		"found too long":     {path: "/plain", body: long, change: func(r *http.Request) { r.ContentLength = -1 }, status: 413, want: `{"error":"the record is larger than 100 bytes, which is ingest.max_record_bytes"}`},
		"long key":           {path: "/plain", body: "1", change: header("Idempotency-Key", long), status: 400, want: `{"error":"an Idempotency-Key is 1 to 255 printable ASCII characters"}`},
		"empty key":          {path: "/plain", body: "1", change: header("Idempotency-Key", ""), status: 400, want: `{"error":"an Idempotency-Key is 1 to 255 printable ASCII characters"}`},
		"illegal key":        {path: "/plain", body: "1", change: header("Idempotency-Key", "ä"), status: 400, want: `{"error":"an Idempotency-Key is 1 to 255 printable ASCII characters"}`},
		"two keys":           {path: "/plain", body: "1", change: header("Idempotency-Key", "a", "b"), status: 400, want: `{"error":"there is more than one Idempotency-Key"}`},
		"no required field":  {path: "/checked", body: `{}`, status: 400, want: `{"error":"the record does not fit the topic's schema","reasons":[{"path":"","message":"missing property 'order_id'"}]}`},
		"many violations, no values": {
			path: "/checked", body: `{"order_id":"s3cret","total":0.5,"lines":[{},{"x":1}]}`, status: 400,
			want: `{"error":"the record does not fit the topic's schema","reasons":[{"path":"/lines/1","message":"additional properties 'x' not allowed"},{"path":"/order_id","message":"must match the pattern ^o-"},{"path":"/total","message":"got number, want integer"}]}`,
		},
		"beyond the maximum":  {path: "/checked", body: `{"order_id":"o-1","total":9007199254740994}`, status: 400, want: `{"error":"the record does not fit the topic's schema","reasons":[{"path":"/total","message":"must be at most 9007199254740993"}]}`},
		"a number beyond all": {path: "/checked", body: `{"order_id":"o-1","total":1e9999999}`, status: 400, want: `{"error":"the record does not fit the topic's schema","reasons":[{"path":"/total","message":"the number is out of range"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			w := post(server(t, p, nil), c.path, c.body, c.change)
			if w.Code != c.status || text(w) != c.want {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, c.status, c.want)
			}
			if got := w.Header().Get(c.header[0]); c.header[0] != "" && got != c.header[1] {
				t.Errorf("header %s is %q, want %q", c.header[0], got, c.header[1])
			}
			if len(p.records()) > 0 {
				t.Error("the record was written")
			}
		})
	}
}

// TestRefusedByTheExpressions checks what package expression words.
func TestRefusedByTheExpressions(t *testing.T) {
	for name, c := range map[string]struct{ path, body, want string }{
		"broken JSON":      {"/plain", `{"a":`, "the body is not JSON"},
		"nothing":          {"/plain", "", "the body is not JSON"},
		"two values":       {"/plain", "1 2", "the body is not JSON"},
		"too deep":         {"/checked", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "the body is not JSON"},
		"another charset":  {"/orders", "{\"order_id\":\"M\xfcller\"}", "the body is not JSON"},
		"half a pair":      {"/orders", `{"order_id":"\ud800"}`, "the record's key cannot be made"},
		"null key":         {"/orders", `{"order_id":null}`, "the record's key cannot be made"},
		"key of no object": {"/orders", `"s3cret"`, "the record's key cannot be made"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			w := post(server(t, p, nil), c.path, c.body, nil)
			if w.Code != 400 || !strings.HasPrefix(text(w), fmt.Sprintf(`{"error":%q,"reasons":[{"path":"","message":"`, c.want)) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "s3cret") || len(p.records()) > 0 {
				t.Errorf("the value was told or written: %s", w.Body)
			}
		})
	}
}

func TestNotDurable(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		status     int
		retryAfter string
	}{
		"too large":      {handlers.Permanent(fmt.Errorf("write: %w", handlers.ErrTooLarge)), 413, ""},
		"refused":        {handlers.Permanent(errors.New("policy of s3cret")), 500, ""},
		"cluster down":   {handlers.Unavailable(errors.New("no broker s3cret")), 503, "1"},
		"answer lost":    {&handlers.BatchError{Failed: map[int]*handlers.Failure{0: {Class: handlers.Unknown}}}, 503, "1"},
		"anything else":  {errors.New("s3cret"), 503, "1"},
		"taken too long": {context.DeadlineExceeded, 503, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			p.set(func(context.Context, *handlers.Record) error { return c.err })
			w := post(server(t, p, nil), "/plain", "1", nil)
			if w.Code != c.status || w.Header().Get("Retry-After") != c.retryAfter || strings.Contains(w.Body.String(), "s3cret") {
				t.Errorf("got %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
			}
		})
	}
}

func TestOffsetUnknown(t *testing.T) {
	p := &producer{}
	p.set(func(_ context.Context, r *handlers.Record) error {
		r.Partition, r.Offset = 0, -1
		return nil
	})
	if w := post(server(t, p, nil), "/plain", "1", nil); w.Code != 202 || text(w) != `{"topic":"plain","partition":0}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
