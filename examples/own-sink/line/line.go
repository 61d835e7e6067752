// Package line is a sink: it sends each record as a line over TCP and waits for the
// answer. All that Millrace knows of it is its Spec.
package line

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file: its tags are its decoder, its checks,
// its JSON Schema and its reference page.
type Config struct {
	Address string            `yaml:"address" required:"true" doc:"Where to send lines, such as 'localhost:7000'."`
	Text    handlers.Template `yaml:"text" required:"true" place:"body" doc:"The line, such as '${payload.order_id} ${payload.total}'."`
	Timeout time.Duration     `yaml:"timeout" default:"5s" min:"1ms" doc:"How long to wait for an answer."`
}

// Check finds what the types alone do not tell.
func (c *Config) Check() []handlers.Issue {
	if _, port, err := net.SplitHostPort(c.Address); err != nil || port == "" {
		return []handlers.Issue{{Field: "address", Message: "the address has no port", Hint: "write host:port, such as localhost:7000"}}
	}
	return nil
}

const doc = "Sends each record as a line over TCP. The server answers `ok`, or `no` and why it refuses the line."

const delivery = "A record counts as written once the server said `ok`. One that it refuses goes to the dead letters; while it can't be reached, the pipeline pauses. A line whose answer was lost is sent again."

const example = "line:\n  address: localhost:7000\n  text: ${payload.order_id} ${payload.total}\n"

// Spec describes the sink.
func Spec() handlers.Spec {
	spec := handlers.Define("line", doc, example, func(config Config, _ handlers.Env) (handlers.Sink, error) {
		return &sink{config}, nil
	})
	spec.Delivery = delivery
	return spec
}

type sink struct{ config Config }

// request is one line; its JSON is what a dry run shows.
type request struct {
	Line string `json:"line"`
}

// Show is what a dry run shows to people.
func (r request) Show() string { return r.Line }

// Render makes the line. It is pure.
func (s *sink) Render(view handlers.View) (any, error) {
	text, err := view.Text(s.config.Text)
	if err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("text: it holds a line break")
	}
	return &request{text}, nil
}

// MaxBatch is 1: each line has an answer of its own.
func (s *sink) MaxBatch() int { return 1 }

// Write sends a line and returns once the server has answered.
func (s *sink) Write(ctx context.Context, batch []handlers.Call) error {
	return handlers.Each(s.send)(ctx, batch)
}

func (s *sink) send(ctx context.Context, call *handlers.Call) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := fmt.Fprintln(conn, call.Request.(*request).Line); err != nil {
		return handlers.Unavailable(fmt.Errorf("send to %s: %w", s.config.Address, err))
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return &handlers.Failure{Class: handlers.Unknown, Err: fmt.Errorf("no answer from %s: %w", s.config.Address, err)}
	}
	answer = strings.TrimSpace(answer)
	if why, refused := strings.CutPrefix(answer, "no"); refused {
		return handlers.Permanent(fmt.Errorf("%s refuses the line:%s", s.config.Address, why))
	}
	call.Answer = answer
	return nil
}

func (s *sink) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.config.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.config.Address, err)
	}
	return conn, nil
}

// Probe connects and sends nothing: `millrace validate --connect` asks for it.
func (s *sink) Probe(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return &handlers.FieldError{Field: "address", Err: err}
	}
	return conn.Close()
}

// Close does nothing: connections are closed once they are answered.
func (s *sink) Close(context.Context) error { return nil }

// Rehearse tells `millrace test` what becomes of trouble.
func (c *Config) Rehearse(t handlers.Trouble) (*handlers.Failure, bool) {
	switch {
	case t.Status != 0:
		return nil, false
	case t.Refused:
		return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true, Err: errors.New("connect to the server: connection refused")}, true
	default:
		return &handlers.Failure{Class: handlers.Unknown, Err: errors.New("no answer from the server")}, true
	}
}
