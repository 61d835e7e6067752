package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// Window is what a replay is to run again.
type Window struct {
	// From and To bound the records' times, To excluded; zero is no bound.
	From, To time.Time
	// At is one record, instead of a window; nil for none.
	At *At
	// Where, where set, is asked of each record.
	Where func(*handlers.Record) bool
	// Max ends the window after that many records; 0 is no limit.
	Max int
}

// At is the place of one record.
type At struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Counted is what a window holds.
type Counted struct {
	// Records were counted, of which Old are older than the pipeline remembers keys.
	Records, Old int
	// Oldest and Newest are the times of the first and the last of them.
	Oldest, Newest time.Time
	Parts          []CountedPart
	// Unreadable counts offsets that can't be read: each gets the outcome that the
	// pipeline has for such.
	Unreadable int64
}

// CountedPart is what a window holds of a partition.
type CountedPart struct {
	api.Span
	Records int
	// Cut is the time of the first record that there is, where retention may have taken
	// some of the window; zero where it has not.
	Cut time.Time
}

// Spans are what the job is to do.
func (c *Counted) Spans() []api.Span {
	spans := make([]api.Span, len(c.Parts))
	for i, p := range c.Parts {
		spans[i] = p.Span
	}
	return spans
}

// Counter counts what a window of a pipeline's topics holds.
type Counter struct {
	Plan     *plan.Pipeline
	Settings kafka.Settings
	Admin    *kafka.Admin
	Deps     kafka.Deps
	// OnRead, where set, is told how many records were read; it must not block.
	OnRead func(records int)
	// Each, where set, is given every record of the window.
	Each func(*handlers.Record)
}

// NoRecordError says that there is no record at a place, and why.
type NoRecordError struct {
	At
	Why string
}

// Error says so.
func (e *NoRecordError) Error() string {
	return fmt.Sprintf("there is no record %s/%d/%d: %s", e.Topic, e.Partition, e.Offset, e.Why)
}

// Count reads the window once, up to the ends of the logs as they are now.
func (c *Counter) Count(ctx context.Context, w Window) (*Counted, error) {
	all, err := c.Admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(t kafka.Topic) bool {
		return !c.Plan.Reads(t.Name) || w.At != nil && t.Name != w.At.Topic
	})
	slices.SortFunc(all, func(a, b kafka.Topic) int { return cmp.Compare(a.Name, b.Name) })
	if len(all) == 0 && w.At != nil {
		return nil, &NoRecordError{At: *w.At, Why: fmt.Sprintf("pipeline %q does not read its topic", c.Plan.Name)}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("pipeline %q reads no topic that exists", c.Plan.Name)
	}
	counted := &Counted{}
	for _, t := range all {
		if err := c.topic(ctx, t, w, counted); err != nil {
			return nil, fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	return counted, nil
}

func (c *Counter) topic(ctx context.Context, t kafka.Topic, w Window, counted *Counted) error {
	firsts, err := c.Admin.StartOffsets(ctx, t.Name)
	if err != nil {
		return err
	}
	ends, err := c.Admin.EndOffsets(ctx, t.Name)
	if err != nil {
		return err
	}
	from := firsts
	if !w.From.IsZero() && w.At == nil {
		if from, err = c.Admin.OffsetsAt(ctx, w.From, t.Name); err != nil {
			return err
		}
	}
	parts := map[int32]*CountedPart{}
	options := kafka.ReadOptions{Offsets: map[int32]int64{}, Until: map[int32]int64{},
		MaxRecordBytes: c.Plan.Source.MaxRecordBytes,
		OnUnreadable:   func(_ int32, first, next int64, _ error) { counted.Unreadable += next - first }}
	for number, end := range ends[t.Name] {
		span := api.Span{Topic: t.Name, TopicID: t.ID, Partition: number, From: from[t.Name][number], Until: end}
		if w.At != nil {
			if number != w.At.Partition {
				continue
			}
			if first := firsts[t.Name][number]; w.At.Offset < first || w.At.Offset >= end {
				why := fmt.Sprintf("the partition holds offsets %d to %d", first, end-1)
				if first == end {
					why = "the partition is empty"
				}
				return &NoRecordError{*w.At, why}
			}
			span.From, span.Until = w.At.Offset, w.At.Offset+1
		}
		span.Next = span.From
		parts[number] = &CountedPart{Span: span}
		if span.From < span.Until {
			options.Offsets[number], options.Until[number] = span.From, span.Until
		}
	}
	if w.At != nil && len(parts) == 0 {
		return &NoRecordError{At: *w.At, Why: "the topic has no such partition"}
	}
	if err := c.read(ctx, t.Name, options, w, parts, firsts[t.Name], counted); err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(parts)) {
		counted.Parts = append(counted.Parts, *parts[number])
	}
	return nil
}

func (c *Counter) read(ctx context.Context, topic string, options kafka.ReadOptions, w Window,
	parts map[int32]*CountedPart, firsts map[int32]int64, counted *Counted) error {
	if len(options.Offsets) == 0 {
		return nil
	}
	if w.Max > 0 && counted.Records >= w.Max {
		for _, p := range parts {
			p.Until = p.From
		}
		return nil
	}
	reader, err := kafka.NewReader(c.Settings, c.Deps, topic, options)
	if err != nil {
		return err
	}
	defer reader.Close()
	job, now := api.Job{From: w.From, To: w.To}, time.Now()
	reached := map[int32]int64{}
	for {
		records, err := reader.Next(ctx)
		if c.OnRead != nil {
			c.OnRead(len(records))
		}
		for _, r := range records {
			p := parts[r.Partition]
			if r.Offset > 0 && r.Offset == firsts[r.Partition] && w.At == nil && !w.From.IsZero() &&
				r.Time.After(w.From) {
				p.Cut = r.Time
			}
			if w.At == nil && !job.Within(r.Time) || w.Where != nil && !w.Where(r) {
				continue
			}
			c.count(r, p, counted, now)
			reached[r.Partition] = r.Offset + 1
			if w.Max > 0 && counted.Records == w.Max {
				for number, p := range parts {
					p.Until = max(p.From, reached[number])
				}
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *Counter) count(r *handlers.Record, p *CountedPart, counted *Counted, now time.Time) {
	p.Records++
	counted.Records++
	if c.Each != nil {
		c.Each(r)
	}
	if counted.Oldest.IsZero() || r.Time.Before(counted.Oldest) {
		counted.Oldest = r.Time
	}
	if r.Time.After(counted.Newest) {
		counted.Newest = r.Time
	}
	if guard := c.Plan.Idempotency; guard != nil && r.Time.Add(guard.TTL).Before(now) {
		counted.Old++
	}
}

// Where is a condition on records, in the pipeline's format, that several goroutines
// may ask.
type Where struct {
	condition *expression.Expression
	inputs    sync.Pool

	mu sync.Mutex
	// failed counts the records for which it failed, first is the first failure.
	failed int
	first  error
}

// NewWhere compiles a condition. An error tells what is wrong with it.
func NewWhere(p *plan.Pipeline, source string) (*Where, error) {
	scope := p.Scope.Fresh()
	condition, findings := scope.Condition(source)
	for _, f := range findings {
		if !f.Warning {
			text := fmt.Sprintf("at character %d: %s", f.Offset+1, f.Message)
			if f.Hint != "" {
				text += " (" + f.Hint + ")"
			}
			return nil, errors.New(text)
		}
	}
	w := &Where{condition: condition}
	w.inputs.New = func() any { return scope.NewInput() }
	return w, nil
}

// Holds tells whether it holds for a record; where it fails, it does not.
func (w *Where) Holds(r *handlers.Record) bool {
	in := w.inputs.Get().(*expression.Input)
	defer w.inputs.Put(in)
	// Of a value of another format all but the payload can be asked for.
	_ = in.Load(r)
	ok, err := w.condition.Bool(in)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.failed++; w.first == nil {
			w.first = fmt.Errorf("%s: %w", r.Coordinates(), err)
		}
	}
	return ok && err == nil
}

// Failed is for how many records it failed, and the first failure.
func (w *Where) Failed() (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed, w.first
}
