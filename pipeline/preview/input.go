package preview

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/plan"
)

// Input reads records as JSON, one a line. What a line leaves out is filled in:
// the topic is the pipeline's first, the partition 0, the time that of the
// opening, and offsets count up in each partition.
type Input struct {
	// Name is how the input is called in errors.
	Name string
	// Values takes each line for a record's value, its bytes as they stand.
	Values bool
	// Left counts records of topics that only pipelines other than the chosen
	// ones read.
	Left int

	in      *bufio.Reader
	line    int
	now     time.Time
	chosen  []*plan.Pipeline
	all     []*plan.Pipeline
	next    map[place]int64
	ended   bool
	noTopic error
	topic   string
}

// InputError is an error of one line of the input.
type InputError struct {
	Name string
	Line int
	Err  error
}

// Error names the line.
func (e *InputError) Error() string { return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err) }

// Unwrap is what is wrong with the line.
func (e *InputError) Unwrap() error { return e.Err }

// NewInput reads records for the chosen of a plan's pipelines.
func NewInput(name string, in io.Reader, plan *plan.Plan, chosen []*plan.Pipeline) *Input {
	i := &Input{Name: name, in: bufio.NewReaderSize(in, 1<<16), now: time.Now(), chosen: chosen, all: plan.Pipelines,
		next: map[place]int64{}}
	for _, p := range chosen {
		switch {
		case len(p.Source.Topics) == 0:
			i.noTopic = fmt.Errorf("the record has no topic, and pipeline %q reads a pattern: add \"topic\" to it",
				p.Name)
		case i.topic == "":
			i.topic = p.Source.Topics[0]
		case i.topic != p.Source.Topics[0]:
			i.noTopic = errors.New(`the record has no topic, and the pipelines read several: add "topic" to it, or name a pipeline`)
		}
	}
	return i
}

// maxInput is how many records Next returns at once.
const maxInput = 1000

// Next returns the next records: as many as have arrived, at least one. At the
// end it returns io.EOF. An *InputError comes after the records before its line.
func (i *Input) Next() ([]Item, error) {
	var items []Item
	for len(items) < maxInput && !i.ended {
		if len(items) > 0 && i.in.Buffered() == 0 {
			return items, nil
		}
		line, err := files.Line(i.in)
		if i.line++; i.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if err != nil {
			i.ended = true
			if !errors.Is(err, io.EOF) {
				return items, &InputError{i.Name, i.line, err}
			}
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		item, err := i.item(line)
		if err != nil {
			i.ended = true
			return items, &InputError{i.Name, i.line, err}
		}
		if len(item.Pipelines) == 0 {
			i.Left++
			continue
		}
		items = append(items, item)
	}
	if i.ended {
		return items, io.EOF
	}
	return items, nil
}

func (i *Input) record(line []byte) (*handlers.Record, error) {
	empty := handlers.Record{Offset: -1, Time: i.now}
	if i.Values {
		empty.Value = bytes.Clone(line)
		return &empty, nil
	}
	return handlers.DecodeJSON(line, empty)
}

func (i *Input) item(line []byte) (Item, error) {
	r, err := i.record(line)
	if err != nil {
		return Item{}, fmt.Errorf(`%w; a line is a record such as {"payload": …}, or with --values a bare value`, err)
	}
	if r.Topic == "" {
		if i.noTopic != nil {
			return Item{}, i.noTopic
		}
		r.Topic = i.topic
	}
	at := place{topic: r.Topic, partition: r.Partition}
	if r.Offset < 0 {
		r.Offset = i.next[at]
	}
	i.next[at] = r.Offset + 1
	item := Item{Record: r}
	for n, p := range i.chosen {
		if p.Reads(r.Topic) {
			item.Pipelines = append(item.Pipelines, n)
		}
	}
	if len(item.Pipelines) > 0 {
		return item, nil
	}
	var known []string
	for _, p := range i.all {
		if p.Reads(r.Topic) {
			return item, nil // of a pipeline that was not chosen
		}
		known = append(known, p.Source.Topics...)
	}
	if near := diag.Nearest(r.Topic, known); near != "" {
		return item, fmt.Errorf("no pipeline reads topic %q (did you mean %q?)", r.Topic, near)
	}
	return item, fmt.Errorf("no pipeline reads topic %q", r.Topic)
}
