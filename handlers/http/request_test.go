package http_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

type templates = map[string]handlers.Template

func TestRequestOnTheWire(t *testing.T) {
	tombstone := &handlers.Record{Key: []byte("k")}
	for name, c := range map[string]struct {
		config  http.Config
		record  *handlers.Record
		notJSON bool
		want    received
		headers map[string]string
	}{
		"the value as it is": {
			record: order("k"), want: received{Method: "POST", Path: "/a", Body: `{"n": 1}`},
			headers: map[string]string{"Content-Type": "application/json", "User-Agent": "millrace/1.2", "Idempotency-Key": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		},
		"not JSON": {
			record: order("k"), notJSON: true, want: received{Method: "POST", Path: "/a", Body: `{"n": 1}`},
			headers: map[string]string{"Content-Type": "application/octet-stream"},
		},
		"all of it": {
			config: http.Config{
				Method: "PUT", Body: handlertest.Key("body "),
				Query:   templates{"b": handlertest.Key("&"), "a": handlertest.Constant("1")},
				Headers: templates{"content-type": handlertest.Constant("text/plain"), "X-K": handlertest.Key(""), "host": handlertest.Constant("shop"), "user-agent": handlertest.Constant("me")},
			},
			record: order("k"), want: received{Method: "PUT", Path: "/a", Query: "a=1&b=%26k", Host: "shop", Body: "body k"},
			headers: map[string]string{"Content-Type": "text/plain", "X-K": "k", "User-Agent": "me"},
		},
		"tombstone": {
			record: tombstone, want: received{Method: "POST", Path: "/a", Body: "null"},
			headers: map[string]string{"Content-Type": "application/json"},
		},
		"a body of text": {
			config: http.Config{Body: handlertest.Key("id ")}, record: order("k"), want: received{Method: "POST", Path: "/a", Body: "id k"},
			headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
		},
		"a body of JSON": {
			config: http.Config{Body: handlertest.Key(`[1] `)}, record: order(" "), want: received{Method: "POST", Path: "/a", Body: "[1]  "},
			headers: map[string]string{"Content-Type": "application/json"},
		},
		"GET has no body": {
			config: http.Config{Method: "GET"}, record: order("k"), want: received{Method: "GET", Path: "/a"},
			headers: map[string]string{"Content-Type": "", "Content-Length": ""},
		},
		"GET of a tombstone": {config: http.Config{Method: "GET"}, record: tombstone, want: received{Method: "GET", Path: "/a"}},
		"HEAD has no body":   {config: http.Config{Method: "HEAD"}, record: order("k"), want: received{Method: "HEAD", Path: "/a"}},
		"GET with a body that is written": {
			config: http.Config{Method: "GET", Body: handlertest.Key("q ")}, record: order("k"), want: received{Method: "GET", Path: "/a", Body: "q k"},
		},
		"tombstone deletes": {
			config: http.Config{Tombstone: "delete", Body: handlertest.Constant("b")}, record: tombstone, want: received{Method: "DELETE", Path: "/a"},
			headers: map[string]string{"Content-Type": "", "Idempotency-Key": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, nil)
			c.config.URL = handlertest.Constant(r.URL + "/a#part")
			sink := open(t, c.config)
			request, err := sink.Render(handlertest.View{Of: c.record, NotJSON: c.notJSON})
			if err != nil {
				t.Fatal(err)
			}
			call := []handlers.Call{{Record: c.record, Request: request, ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}}
			if err := sink.Write(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			if call[0].Answer != "status 200" {
				t.Errorf("answer %q", call[0].Answer)
			}
			got := r.requests()[0]
			for name, want := range c.headers {
				if value := got.Header.Get(name); value != want {
					t.Errorf("header %s is %q, want %q", name, value, want)
				}
			}
			got.Header = nil
			if c.want.Host == "" {
				c.want.Host = strings.TrimPrefix(r.URL, "http://")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRequestShown(t *testing.T) {
	secret := handlertest.Constant("s3cret")
	secret.Secret = true
	for name, c := range map[string]struct {
		config http.Config
		want   string
	}{
		"plain": {
			http.Config{URL: handlertest.Constant("http://h/<a>")},
			`{"method":"POST","url":"http://h/%3Ca%3E","headers":{"Content-Type":"application/json"},"body":"{\"n\": 1}"}`,
		},
		"secrets": {
			http.Config{
				URL: handlertest.Constant("http://me:s3cret@h/a"), Body: secret,
				Headers: templates{"Authorization": handlertest.Constant("Bearer s3cret"), "X-Token": secret, "X-Shown": handlertest.Constant("1")},
			},
			`{"method":"POST","url":"http://me:xxxxx@h/a","headers":{"Authorization":"[redacted]","Content-Type":"text/plain; charset=utf-8","X-Shown":"1","X-Token":"[redacted]"},"body":"[redacted]"}`,
		},
		"secret in the query": {
			http.Config{URL: handlertest.Constant("http://h/a"), Query: templates{"token": secret}},
			`{"method":"POST","url":"http://h/[redacted]","headers":{"Content-Type":"application/json"},"body":"{\"n\": 1}"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := open(t, c.config).Render(handlertest.View{Of: order("k")})
			if err != nil {
				t.Fatal(err)
			}
			shown, err := request.(json.Marshaler).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, strings.TrimSpace(string(shown))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	url := handlertest.Constant("http://h/a")
	free := func(prefix string) handlers.Template { return handlertest.Key(prefix) }
	for name, c := range map[string]struct {
		config http.Config
		key    string
		want   string
	}{
		"line break": {http.Config{URL: url, Headers: templates{"x": free("")}}, "a\r\nHost: b", `header "X": the value holds a line break or another control character`},
		"a type that lies": {
			http.Config{URL: url, Body: free("{"), Headers: templates{"content-type": free("application/")}}, "json",
			"body: what it renders to is no JSON, which its Content-Type says",
		},
		"dots":               {http.Config{URL: free("http://h/a/")}, "..", "url: the path has a part that is . or .."},
		"escaped dots":       {http.Config{URL: free("http://h/a/")}, "b%2F..%2Fc", "url: the path has a part that is . or .."},
		"NUL":                {http.Config{URL: free("http://h/a/")}, "\x00", "url: what it renders to is not a URL"},
		"another scheme":     {http.Config{URL: free(""), AllowedHosts: []string{"h"}}, "file://h/a", "url: what it renders to is not http://host/… or https://host/…"},
		"another host":       {http.Config{URL: free("http://"), AllowedHosts: []string{"h", "*.shop.test"}}, "evil.test/a", `url: the host that it renders to is not one of allowed_hosts`},
		"the domain itself":  {http.Config{URL: free("http://"), AllowedHosts: []string{"*.shop.test"}}, "shop.test/a", `url: the host that it renders to is not one of allowed_hosts`},
		"user before a host": {http.Config{URL: free("http://"), AllowedHosts: []string{"h"}}, "me@h/a", "url: a record must not name a user"},
		"host behind a user": {http.Config{URL: free("http://"), AllowedHosts: []string{"h"}}, "h@evil.test/a", `url: the host that it renders to is not one of allowed_hosts`},
		"unicode host":       {http.Config{URL: free("http://"), AllowedHosts: []string{"*.shop.test"}}, "evil\u3002shop.test/a", `url: the host that it renders to is not one of allowed_hosts`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, c.config).Render(handlertest.View{Of: order(c.key)})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestQueryOfARecordsURL(t *testing.T) {
	sink := open(t, http.Config{URL: handlertest.Key("http://"), AllowedHosts: []string{"h"}})
	request, err := sink.Render(handlertest.View{Of: order("h/b?q=a b&r=ü%20")})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := request.(json.Marshaler).MarshalJSON()
	if want := `"url":"http://h/b?q=a%20b&r=%C3%BC%20"`; err != nil || !strings.Contains(string(shown), want) {
		t.Errorf("got %s, want %s", shown, want)
	}
}

func TestTombstoneSkips(t *testing.T) {
	sink := open(t, http.Config{URL: handlertest.Key("http://h/"), Tombstone: "skip"})
	if _, err := sink.Render(handlertest.View{Of: &handlers.Record{}}); !errors.Is(err, handlers.ErrSkip) {
		t.Errorf("got %v, want to skip, even though the URL can't be rendered", err)
	}
}

// A trace goes on as it came, unless the configuration writes its own.
func TestTraceOnTheWire(t *testing.T) {
	r := newReceiver(t, nil)
	trace := handlers.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	own := map[string]handlers.Template{"traceparent": handlertest.Constant("own")}
	for _, config := range []http.Config{{}, {Headers: own}} {
		config.URL = handlertest.Constant(r.URL)
		sink := open(t, config)
		request, err := sink.Render(handlertest.View{Of: order("k")})
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Write(t.Context(), []handlers.Call{{Record: order("k"), Request: request, Trace: trace}}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, g := range r.requests() {
		got = append(got, strings.Join(g.Header["Traceparent"], ",")+" "+g.Header.Get("Tracestate"))
	}
	if diff := cmp.Diff([]string{trace.Parent + " a=1", "own "}, got); diff != "" {
		t.Error(diff)
	}
}
