package http

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"reflect"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/handlers"
)

// maxRetryAfter bounds how long a receiver can ask to be left alone.
const maxRetryAfter = time.Hour

// Write makes one call after the other.
func (s *sink) Write(ctx context.Context, batch []handlers.Call) error {
	return handlers.Each(s.call)(ctx, batch)
}

func (s *sink) call(ctx context.Context, call *handlers.Call) error {
	// A connection that was got may have carried bytes already; before, none
	// was sent for certain.
	var connected, fresh, answering atomic.Bool
	limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	traced := httptrace.WithClientTrace(limited, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(info httptrace.GotConnInfo) {
			connected.Store(true)
			fresh.Store(!info.Reused)
		},
		GotFirstResponseByte: func() { answering.Store(true) },
	})
	r := call.Request.(*request)
	// The transport itself and not a Client: this one follows redirects, and
	// puts URLs, with what is secret in them, into its errors.
	answer, err := s.transport.RoundTrip(r.build(traced, call, s.userAgent))
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = s.late()
		}
		if fresh.Load() && !answering.Load() && limited.Err() == nil && s.asksForCertificate.Load() {
			return s.turnedDown(err)
		}
		return s.unanswered(err, ctx.Err() != nil, connected.Load())
	}
	// The status is the answer. What follows is read only so that the
	// connection can be used again; more than that closes it.
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	_ = answer.Body.Close()
	call.Answer = "status " + strconv.Itoa(answer.StatusCode)
	if f := s.judge(answer); f != nil {
		return f
	}
	return nil
}

// unanswered classifies a call that got no answer.
func (s *sink) unanswered(err error, givenUp, connected bool) *handlers.Failure {
	switch {
	case givenUp:
		return &handlers.Failure{Class: handlers.Unknown, NotSent: !connected,
			Err: fmt.Errorf("the call was given up: %w", err)}
	case connected:
		return &handlers.Failure{Class: handlers.Unknown, Err: fmt.Errorf("call the receiver: %w", err)}
	case s.recordNamed(err):
		// What is not allowed is so for certain; a name that isn't found, or a
		// connection that isn't made, may be this machine's own network.
		return &handlers.Failure{
			Class: handlers.NotApplied, Suspect: !errors.As(err, new(deniedError)), NotSent: true,
			Err: fmt.Errorf("connect to the receiver that the record names: %w", unnamed(err)),
		}
	default:
		return handlers.Unreachable(fmt.Errorf("connect to the receiver: %w", err))
	}
}

// turnedDown classifies a call whose connection ended with its first request, by a
// receiver that asked for a certificate: with TLS 1.3 it turns that down only after the
// client's part of the handshake, before it reads anything. Where it does not say so, or its
// word was lost with the connection, the record may still be what ended it.
func (s *sink) turnedDown(err error) *handlers.Failure {
	if f := s.unanswered(err, false, false); certificateAlert(err) || f.Class == handlers.NotApplied {
		return f
	}
	return &handlers.Failure{Class: handlers.Infrastructure, Suspect: true,
		Err: fmt.Errorf("call the receiver, which asked for a client's certificate and closed the connection: %w", err)}
}

// certificateAlert tells whether the other side ended a TLS connection for the sake of a
// certificate. The library's own type for alerts is not exported; their numbers are those
// of RFC 8446, section 6.
func certificateAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return false
	}
	alert := reflect.ValueOf(op.Err)
	if alert.Kind() != reflect.Uint8 {
		return false
	}
	switch alert.Uint() {
	// bad, unsupported, revoked, expired, unknown, unknown CA, access denied, required
	case 42, 43, 44, 45, 46, 48, 49, 116:
		return true
	}
	return false
}

// recordNamed tells whether a connection was kept from being made by something that
// the record named. Where that is the scheme or the port alone, a host that can't be
// found is still the configuration's.
func (s *sink) recordNamed(err error) bool {
	if _, dns := errors.AsType[*net.DNSError](err); dns && hostWritten(s.config.URL) {
		return false
	}
	return s.recordsChooseHost()
}

// unnamed is why no connection was made, without the host's name, which is the
// record's.
func unnamed(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("its certificate is that of another host")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// Rehearse judges trouble as a call does.
func (c *Config) Rehearse(t handlers.Trouble) (*handlers.Failure, bool) {
	s := newSink(*c)
	switch {
	case t.Status != 0:
		return s.judge(&nethttp.Response{StatusCode: t.Status}), true
	case t.Timeout:
		return s.unanswered(s.late(), false, true), true
	case t.Refused:
		return s.unanswered(errors.New("connection refused"), false, false), true
	default:
		return s.unanswered(errors.New("the connection was lost"), false, true), true
	}
}

// late says that no answer came in time.
func (s *sink) late() error { return fmt.Errorf("no answer within %s", s.config.Timeout) }

// judge classifies an answer; nil is success.
func (s *sink) judge(answer *nethttp.Response) *handlers.Failure {
	status := answer.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	f := &handlers.Failure{
		Class:      handlers.Unknown,
		Err:        fmt.Errorf("the receiver answered %s", statusText(status)),
		RetryAfter: retryAfter(answer.Header, time.Now()),
	}
	switch status {
	case 429:
		f.Class, f.NotSent = handlers.Infrastructure, true
	case 502, 503, 504:
		// The receiver's own, or of a record that brings it down. A gateway's word
		// leaves it open whether the record came through; 503 turns it away.
		f.Class, f.Suspect, f.NotSent = handlers.Infrastructure, true, status == 503
	case 408, 409, 425:
		f.Own = true
	case 401, 403, 404, 405, 407, 410, 421:
		// Where every record meets the same URL it is the URL that is wrong, or
		// the credential: no record's fault.
		f.Class, f.NotSent = handlers.Infrastructure, true
		if !s.fixedURL {
			f.Class, f.NotSent = handlers.NotApplied, false
			f.Suspect = status == 401 || status == 403
		}
	default:
		if status >= 300 && status <= 499 {
			f.Class = handlers.NotApplied
		}
	}
	return f
}

// statusText does not repeat the receiver's own words: they may hold anything.
func statusText(status int) string {
	if text := nethttp.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return strconv.Itoa(status)
}

// retryAfter reads the header's seconds or date, and the answer's own date as
// the time by which the receiver's clock goes.
func retryAfter(header nethttp.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := nethttp.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := nethttp.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
