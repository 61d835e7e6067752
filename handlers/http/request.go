package http

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
)

const (
	idempotencyKey = "Idempotency-Key"
	traceParent    = "Traceparent"
	traceState     = "Tracestate"
)

// request is one call, all but its idempotency key. It does not change after
// Render.
type request struct {
	method string
	url    *url.URL
	header nethttp.Header
	body   []byte

	secretURL, secretBody bool
	secretHeaders         []string
}

// shownRequest is a request as JSON.
type shownRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// MarshalJSON shows the request without what is secret in it.
func (r *request) MarshalJSON() ([]byte, error) {
	shown := r.whole()
	shown.URL = r.shownURL()
	if r.secretBody {
		shown.Body = handlers.Redacted
	}
	for name := range r.header {
		if isFixedHeader(name) && name != "Host" || handlers.SecretName(name) ||
			slices.Contains(r.secretHeaders, name) {
			shown.Headers[name] = handlers.Redacted
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(shown)
	return out.Bytes(), err
}

// Show is method, URL and body.
func (r *request) Show() string {
	body := string(r.body)
	if r.secretBody {
		body = handlers.Redacted
	}
	return strings.TrimRight(r.method+" "+r.shownURL()+"  "+body, " ")
}

// Disclose is the request with what is secret in it.
func (r *request) Disclose() any { return r.whole() }

func (r *request) whole() shownRequest {
	whole := shownRequest{r.method, r.url.String(), map[string]string{}, string(r.body)}
	for name, values := range r.header {
		whole.Headers[name] = strings.Join(values, ", ")
	}
	return whole
}

func (r *request) shownURL() string {
	if r.secretURL {
		return r.url.Scheme + "://" + r.url.Host + "/" + handlers.Redacted
	}
	return handlers.ShownQuery(r.url.Redacted())
}

// build makes the request of one attempt, as net/http wants it.
func (r *request) build(ctx context.Context, call *handlers.Call, userAgent string) *nethttp.Request {
	header := make(nethttp.Header, len(r.header)+5)
	for name, values := range r.header {
		header[wireName(name)] = values
	}
	if call.ID != "" {
		header[wireName(idempotencyKey)] = []string{call.ID}
	}
	if _, ok := header[traceParent]; !ok && call.Trace.Parent != "" {
		header[traceParent] = []string{call.Trace.Parent}
		if call.Trace.State != "" {
			header[traceState] = []string{call.Trace.State}
		}
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{userAgent}
	}
	req := &nethttp.Request{
		Method: r.method, URL: r.url, Host: r.url.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
		delete(header, "Host")
	}
	if u := r.url.User; u != nil && header.Get("Authorization") == "" {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	if len(r.body) > 0 {
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
	} else {
		req.Body = nethttp.NoBody
	}
	return req.WithContext(ctx)
}

// wireName keeps net/http from sending a request again on its own. It does so,
// when a connection that it used before breaks before the answer, for every
// request under one of these two names in their usual spelling: the receiver
// may have acted by then, and that is deliver's to judge. To receivers names of
// headers are the same in either case.
func wireName(name string) string {
	if name == idempotencyKey || name == "X-Idempotency-Key" {
		return strings.ToLower(name)
	}
	return name
}
