package stdout_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/stdout"
)

// pipe is a standard output that many may write to, each write whole, and that
// takes no more than room bytes where that is set.
type pipe struct {
	mu   sync.Mutex
	text bytes.Buffer
	room int
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.room > 0 && len(b) > p.room {
		p.text.Write(b[:p.room])
		return p.room, errors.New("no space left")
	}
	return p.text.Write(b)
}

func (p *pipe) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n")
}

func open(t *testing.T, out *pipe, config stdout.Config) handlers.Sink {
	t.Helper()
	sink, err := stdout.Spec().Open(&config, handlers.Env{Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, stdout.Spec(), handlertest.Harness{
		Batches: true,
		Open: func(t *testing.T) handlertest.Fixture {
			out := &pipe{}
			key := handlertest.Key("")
			line := handlertest.Template("", func(r *handlers.Record) (string, error) {
				_, err := handlertest.View{Of: r}.Text(key)
				return string(r.Value), err
			})
			return handlertest.Fixture{
				Sink: open(t, out, stdout.Config{Template: line}),
				Effects: func() []string {
					if lines := out.lines(); lines[0] != "" {
						return lines
					}
					return nil
				},
			}
		},
	})
}

func TestLines(t *testing.T) {
	r := func(value []byte) *handlers.Record {
		return &handlers.Record{Topic: "t", Offset: 1, Time: time.UnixMilli(0), Value: value}
	}
	for name, c := range map[string]struct {
		config  stdout.Config
		notJSON bool
		value   []byte
		want    string
	}{
		"value":            {config: stdout.Config{Format: "value"}, value: []byte(`{"a": 1}`), want: `{"a": 1}`},
		"tombstone":        {config: stdout.Config{Format: "value"}, want: `null`},
		"JSON of lines":    {config: stdout.Config{Format: "value"}, value: []byte("{\n \"a\": \"x\\n\"\r\n}"), want: `{"a":"x\n"}`},
		"text of lines":    {config: stdout.Config{Format: "value"}, notJSON: true, value: []byte("[\n]\r"), want: `[\n]\r`},
		"record":           {config: stdout.Config{Format: "record"}, value: []byte("1"), want: `{"topic":"t","partition":0,"offset":1,"timestamp":"1970-01-01T00:00:00.000Z","key":null,"headers":{},"payload":1}`},
		"template":         {config: stdout.Config{Format: "record", Template: handlertest.Constant("a\nb")}, value: []byte("1"), want: `a\nb`},
		"broken JSON kept": {config: stdout.Config{Format: "value"}, value: []byte("{\n"), want: `{\n`},
	} {
		t.Run(name, func(t *testing.T) {
			out := &pipe{}
			sink := open(t, out, c.config)
			request, err := sink.Render(handlertest.View{Of: r(c.value), NotJSON: c.notJSON})
			if err != nil {
				t.Fatal(err)
			}
			if err := sink.Write(t.Context(), []handlers.Call{{Record: r(c.value), Request: request}}); err != nil {
				t.Fatal(err)
			}
			if got := out.lines(); len(got) != 1 || got[0] != c.want {
				t.Errorf("got %q, want one line %q", got, c.want)
			}
		})
	}
}

func TestPartOfABatchFits(t *testing.T) {
	out := &pipe{room: 5}
	sink := open(t, out, stdout.Config{Format: "value"})
	var calls []handlers.Call
	for _, value := range []string{"aa", "bbbb", "cc"} {
		r := &handlers.Record{Value: []byte(value)}
		request, err := sink.Render(handlertest.View{Of: r})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, handlers.Call{Record: r, Request: request})
	}
	err := sink.Write(t.Context(), calls)
	if f := handlers.FailureOf(err, 0); f != nil {
		t.Errorf("the first line is whole, got %v", f)
	}
	if f := handlers.FailureOf(err, 1); f == nil || f.Class != handlers.Infrastructure || f.NotSent {
		t.Errorf("the second line is cut: want infrastructure, got %+v", f)
	}
	if f := handlers.FailureOf(err, 2); f == nil || f.Class != handlers.Infrastructure || !f.NotSent {
		t.Errorf("nothing of the third line is out: want infrastructure, not sent, got %+v", f)
	}
}
