package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/oversize"
)

// sourcePause is the longest time between two questions to a source that does not answer.
const sourcePause = 5 * time.Second

// Whole fetches what a letter does not hold of its record from where it was read, by
// topic ID, offset and digest. Where that is not to be had any more, the error is
// [letters.ErrSourceGone]; what can't be read, or is larger than the pipeline takes, is
// another one. While no broker answers it waits, for as long as ctx lasts. It may be called
// concurrently.
func (l *Letters) Whole(ctx context.Context, letter *letters.Letter) error {
	whole := letter.Missing == letters.Missing{}
	if whole && letter.Reason != outcome.ReasonUnreadable {
		return nil
	}
	for n := 1; ; n++ {
		found, bad, err := l.fetch(ctx, letter)
		switch {
		case err == nil && bad != nil:
			return bad
		case err == nil && whole:
			letter.Record = *found
			return nil
		case err == nil:
			return complete(letter, found)
		case errors.Is(err, letters.ErrSourceGone):
			return err
		}
		if l.Deps.Logger != nil && n == 1 {
			l.Deps.Logger.Warn("the rest of a dead letter can't be fetched yet", "record",
				letter.Record.Coordinates(), "err", err)
		}
		if !clock.Sleep(ctx, clock.Exponential(200*time.Millisecond, sourcePause, n)) {
			return ctx.Err()
		}
	}
}

// fetch reads a letter's record from its source; bad is why that can't be read.
func (l *Letters) fetch(ctx context.Context, letter *letters.Letter) (found *handlers.Record, bad, err error) {
	r := &letter.Record
	gone, err := l.gone(ctx, r, letter.TopicID)
	if err != nil {
		return nil, nil, err
	}
	if gone != "" {
		return nil, nil, fmt.Errorf("%w: %s", letters.ErrSourceGone, gone)
	}
	reader, err := kafka.NewReader(l.Settings, l.Deps, r.Topic, kafka.ReadOptions{
		Offsets: map[int32]int64{r.Partition: r.Offset}, Until: map[int32]int64{r.Partition: r.Offset + 1},
		MaxRecordBytes: l.Largest, OnUnreadable: func(_ int32, _, _ int64, err error) { bad = err },
	})
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	records, err := reader.Next(ctx)
	switch {
	case len(records) > 0 && records[0].Offset == r.Offset:
		return records[0], nil, nil
	case bad != nil:
		return nil, bad, nil
	case err == nil || errors.Is(err, io.EOF):
		return nil, nil, fmt.Errorf("%w: its offset holds no record", letters.ErrSourceGone)
	}
	return nil, nil, err
}

// complete takes the parts that a letter does not hold from the record that was found
// in its place, where they are the same.
func complete(letter *letters.Letter, found *handlers.Record) error {
	m, r := &letter.Missing, &letter.Record
	for _, part := range []struct {
		missing *letters.Part
		there   *oversize.Part
	}{{m.Key, oversize.PartOf(found.Key)}, {m.Headers, oversize.HeadersPart(found.Headers)},
		{m.Value, oversize.PartOf(found.Value)}} {
		if part.missing != nil && (part.there == nil || part.there.Digest != part.missing.Digest) {
			return fmt.Errorf("%w: what is there is another record", letters.ErrSourceGone)
		}
	}
	if m.Key != nil {
		r.Key = found.Key
	}
	if m.Headers != nil {
		r.Headers = found.Headers
	}
	if m.Value != nil {
		r.Value = found.Value
	}
	*m = letters.Missing{}
	return nil
}
