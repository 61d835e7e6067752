package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
)

const (
	// maxAnswer is how much of a receiver's answer is read, so that the
	// connection can be used again.
	maxAnswer = 1 << 20
	// maxIdlePerHost covers the lanes of many partitions: fewer would open and
	// close connections under load.
	maxIdlePerHost = 512
)

type sink struct {
	config  Config
	headers []header
	query   []string
	// authority is scheme and host up to the path where they are fixed, empty
	// where the record has a part in them.
	authority string
	// fixedURL tells that no part of the URL depends on the record.
	fixedURL bool
	// secretURL tells that some of the URL is not to be shown.
	secretURL bool
	hosts     hosts
	userAgent string
	// asksForCertificate tells that a receiver asked for the client's certificate. It
	// may turn it down only after the handshake.
	asksForCertificate atomic.Bool
	transport          *nethttp.Transport
	dialer             *guardedDialer
}

type header struct {
	name  string
	value handlers.Template
}

func open(config Config, env handlers.Env) (handlers.Sink, error) {
	allowed, err := parseHosts(config.AllowedHosts)
	if err != nil {
		return nil, fmt.Errorf("allowed_hosts: %w", err)
	}
	s := newSink(config)
	s.hosts, s.userAgent = allowed, strings.TrimSuffix("millrace/"+env.Version, "/")
	s.dialer = newDialer(config.Timeout, s.recordsChooseHost(), allowed)
	s.transport = &nethttp.Transport{
		DialContext:            s.dialer.dial,
		TLSHandshakeTimeout:    config.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	s.transport.DialTLSContext = s.dialTLS
	return s, nil
}

// dialTLS connects as `tls` says now: its files may have changed.
func (s *sink) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conf, err := s.tlsConfig(host)
	if err != nil {
		return nil, fmt.Errorf("read the files of tls: %w", err)
	}
	conf.NextProtos = []string{"h2", "http/1.1"}
	given := conf.GetClientCertificate
	conf.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		s.asksForCertificate.Store(true)
		if given == nil {
			return new(tls.Certificate), nil // none
		}
		return given(info)
	}
	raw, err := s.dialer.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// tlsConfig is what a connection to a host goes by.
func (s *sink) tlsConfig(host string) (*tls.Config, error) {
	if s.config.TLS == nil {
		return &tls.Config{ServerName: host}, nil
	}
	conf, err := s.config.TLS.Config()
	if err == nil && conf.ServerName == "" {
		conf.ServerName = host
	}
	return conf, err
}

// newSink is a sink as far as its configuration alone makes it.
func newSink(config Config) *sink {
	s := &sink{config: config, query: slices.Sorted(maps.Keys(config.Query)), fixedURL: config.URL.Constant,
		secretURL: config.URL.Secret}
	for _, name := range slices.Sorted(maps.Keys(config.Headers)) {
		s.headers = append(s.headers, header{nethttp.CanonicalHeaderKey(name), config.Headers[name]})
	}
	for _, t := range config.Query {
		s.fixedURL = s.fixedURL && t.Constant
		s.secretURL = s.secretURL || t.Secret
	}
	if end := authorityEnd(config.URL.Prefix); end >= 0 {
		s.authority = config.URL.Prefix[:end]
	} else if config.URL.Constant {
		s.authority = config.URL.Prefix
	}
	return s
}

func (s *sink) recordsChooseHost() bool { return s.authority == "" && !s.config.URL.Constant }

// MaxBatch is 1: a call is one record's.
func (s *sink) MaxBatch() int { return 1 }

// Render makes the request, which Write completes with the idempotency key.
func (s *sink) Render(view handlers.View) (any, error) {
	r := &request{method: s.config.Method, secretURL: s.secretURL}
	tombstone := view.Record().Value == nil
	if tombstone && s.config.Tombstone == "skip" {
		return nil, handlers.ErrSkip
	}
	var err error
	if r.url, err = s.renderURL(view); err != nil {
		return nil, err
	}
	if err := s.renderHeaders(r, view); err != nil {
		return nil, err
	}
	if tombstone && s.config.Tombstone == "delete" {
		r.method = nethttp.MethodDelete
		return r, nil
	}
	if err := s.renderBody(r, view); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return r, nil
}

func (s *sink) renderURL(view handlers.View) (*url.URL, error) {
	text, err := view.Text(s.config.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	u, err := url.Parse(text)
	if err != nil {
		// The parser's own words hold the URL, and so what is secret in it.
		return nil, errors.New("url: what it renders to is not a URL")
	}
	switch {
	case !isWeb(u.Scheme) || u.Hostname() == "":
		return nil, errors.New("url: what it renders to is not http://host/… or https://host/…")
	case hasDots(u.Path):
		return nil, errors.New("url: the path has a part that is . or ..")
	case s.recordsChooseHost() && !s.hosts.allow(u):
		// Its name is the record's, and not to be in logs.
		return nil, errors.New("url: the host that it renders to is not one of allowed_hosts")
	case s.recordsChooseHost() && u.User != nil:
		return nil, errors.New("url: a record must not name a user")
	case !s.recordsChooseHost() && !strings.HasPrefix(text, s.authority):
		return nil, errors.New("url: the record changes the host")
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = onTheWire(u.RawQuery)
	if len(s.query) == 0 {
		return u, nil
	}
	values := url.Values{}
	for _, name := range s.query {
		value, err := view.Text(s.config.Query[name])
		if err != nil {
			return nil, fmt.Errorf("query %q: %w", name, err)
		}
		values.Set(name, value)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += values.Encode()
	return u, nil
}

// onTheWire is a query with what no request line may hold escaped: a record that
// names its URL may name it as a person types it.
func onTheWire(query string) string {
	if !strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return query
	}
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c > '~' {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// renderBody makes the body, and its type where none is written. GET and HEAD
// carry none but one that is written.
func (s *sink) renderBody(r *request, view handlers.View) error {
	kind := "application/octet-stream"
	switch {
	case !s.config.Body.IsZero():
		text, err := view.Text(s.config.Body)
		if err != nil {
			return err
		}
		r.body, r.secretBody = []byte(text), s.config.Body.Secret
		if kind = "text/plain; charset=utf-8"; isStructured(r.body) {
			kind = "application/json"
		}
	case r.method == nethttp.MethodGet || r.method == nethttp.MethodHead:
		return nil
	case view.Record().Value == nil:
		r.body = []byte("null")
	default:
		r.body = view.Record().Value
	}
	if view.JSON() && s.config.Body.IsZero() {
		kind = "application/json"
	}
	written := r.header.Get("Content-Type")
	if written == "" && len(r.header["Content-Type"]) == 0 {
		r.header.Set("Content-Type", kind)
	}
	if !s.config.Body.IsZero() && isJSONType(written) && !json.Valid(r.body) {
		return errors.New("what it renders to is no JSON, which its Content-Type says")
	}
	return nil
}

// isStructured tells whether a body is a JSON object, list or text.
func isStructured(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && strings.IndexByte(`{["`, body[0]) >= 0 && json.Valid(body)
}

func isJSONType(text string) bool {
	kind, _, err := mime.ParseMediaType(text)
	return err == nil && (kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"))
}

func (s *sink) renderHeaders(r *request, view handlers.View) error {
	r.header = make(nethttp.Header, len(s.headers)+3)
	for _, h := range s.headers {
		value, err := view.Text(h.value)
		if err != nil {
			return fmt.Errorf("header %q: %w", h.name, err)
		}
		if strings.ContainsFunc(value, isControl) {
			return fmt.Errorf("header %q: the value holds a line break or another control character", h.name)
		}
		r.header[h.name] = []string{value}
		if h.value.Secret {
			r.secretHeaders = append(r.secretHeaders, h.name)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Close gives the idle connections up.
func (s *sink) Close(context.Context) error {
	s.transport.CloseIdleConnections()
	return nil
}
