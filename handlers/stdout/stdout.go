// Package stdout is the sink that prints records, one line each.
package stdout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file.
type Config struct {
	Format   string            `yaml:"format" default:"value" enum:"value,record" doc:"What a line shows: 'value' is the record's value, 'record' the whole record as JSON, as 'millrace tail' prints it."`
	Template handlers.Template `yaml:"template" place:"body" doc:"A line of your own, in the place of 'format', such as '${payload.id} ${payload.total}'. One that has the form of JSON stays JSON, whatever the record puts into it."`
}

const doc = "Prints each record as one line on the standard output of `millrace run`. " +
	"It is for a first look, and for the next program of a pipe: logs go to standard error. " +
	"A line break inside of a JSON value is dropped where JSON allows it; any other is written as `\\n` or `\\r`, so " +
	"that a line stays a record. A tombstone prints as `null`."

const delivery = "A line counts as written once the operating system took it; what a pipe's reader does with it is " +
	"not known. Lines of one lane are written together, up to 1,024 at once. A reader that stops reading holds the " +
	"pipeline up; one that is gone pauses it, and nothing goes to the dead letters."

const example = "stdout:\n  format: record\n"

// Spec describes the sink.
func Spec() handlers.Spec {
	spec := handlers.Define("stdout", doc, example,
		func(config Config, env handlers.Env) (handlers.Sink, error) {
			if env.Stdout == nil {
				return nil, errors.New("this process has no standard output to print to")
			}
			return &sink{config: config, out: env.Stdout}, nil
		})
	spec.Delivery = delivery
	return spec
}

type sink struct {
	config Config
	out    io.Writer
}

// request is the line of one record, without its newline.
type request struct{ line []byte }

// MarshalJSON shows the line as text.
func (r *request) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"line": string(r.line)})
}

// Show is the line.
func (r *request) Show() string { return string(r.line) }

// Render makes the line.
func (s *sink) Render(view handlers.View) (any, error) {
	record := view.Record()
	switch {
	case !s.config.Template.IsZero():
		text, err := view.Text(s.config.Template)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		return &request{valueLine([]byte(text), true)}, nil
	case s.config.Format == "record":
		return &request{handlers.AppendJSON(nil, record)}, nil
	case record.Value == nil:
		return &request{[]byte("null")}, nil
	default:
		return &request{valueLine(record.Value, view.JSON())}, nil
	}
}

func valueLine(value []byte, isJSON bool) []byte {
	if isJSON && bytes.ContainsAny(value, "\r\n") {
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			return compact.Bytes()
		}
	}
	return oneLine(value)
}

func oneLine(text []byte) []byte {
	if !bytes.ContainsAny(text, "\r\n") {
		return text
	}
	text = bytes.ReplaceAll(text, []byte("\n"), []byte(`\n`))
	return bytes.ReplaceAll(text, []byte("\r"), []byte(`\r`))
}

// Write prints the batch in one write. A reader that does not read blocks it.
func (s *sink) Write(ctx context.Context, batch []handlers.Call) error {
	if err := ctx.Err(); err != nil {
		return handlers.Unreachable(err)
	}
	var lines []byte
	ends := make([]int, len(batch))
	for i := range batch {
		lines = append(append(lines, batch[i].Request.(*request).line...), '\n')
		ends[i] = len(lines)
	}
	written, err := s.out.Write(lines)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write to the standard output: %w", err)
	failed := map[int]*handlers.Failure{}
	start := 0
	for i, end := range ends {
		switch {
		case start >= written:
			failed[i] = handlers.Unreachable(err)
		case end > written:
			failed[i] = handlers.Unavailable(err) // a part of its line is out
		}
		start = end
	}
	return &handlers.BatchError{Failed: failed}
}

// Rehearse judges trouble as a write that failed: no record is at fault.
func (c *Config) Rehearse(t handlers.Trouble) (*handlers.Failure, bool) {
	if t.Status != 0 {
		return nil, false
	}
	return handlers.Unreachable(errors.New("write to the standard output: it takes nothing")), true
}

// Probe tells whether the standard output is open.
func (s *sink) Probe(ctx context.Context) error {
	if file, ok := s.out.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if _, err := file.Stat(); err != nil {
			return fmt.Errorf("look at the standard output: %w", err)
		}
	}
	return ctx.Err()
}

// Close does nothing: the standard output belongs to the process.
func (s *sink) Close(context.Context) error { return nil }
