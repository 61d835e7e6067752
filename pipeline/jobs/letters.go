// Package jobs knows what a job is about: what a replay's window holds (count.go), which dead
// letters are open and all that is known of one (letters.go, fold.go, list.go, show.go), and
// which of them a redrive or a discard is to do (select.go, source.go). All of that is read
// without a group and changes nothing; job.go and progress.go keep the job itself, in the
// commits of its group.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/letters"
)

// Letters are the dead letters of one pipeline. It is used by one goroutine at a time.
type Letters struct {
	Pipeline string
	// Topic holds them, perhaps beside those of other pipelines; Resolved, which need
	// not exist, what became of them.
	Topic, Resolved string

	Settings kafka.Settings
	Admin    *kafka.Admin
	Deps     kafka.Deps
	// Largest is the largest letter that is read; 0 means the default.
	Largest int64
	// OnRead, where set, is told how many records were read; it must not block.
	OnRead func(records int)

	// perPass is how many letters are looked at at a time; 0 means the default.
	perPass int64
}

// ID names a letter within its topic: `partition/offset`.
type ID struct {
	Partition int32
	Offset    int64
}

func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Partition, id.Offset) }

// ParseID reads an ID as it is written.
func ParseID(text string) (ID, error) {
	p, o, ok := strings.Cut(text, "/")
	partition, err1 := strconv.ParseInt(p, 10, 32)
	offset, err2 := strconv.ParseInt(o, 10, 64)
	if !ok || err1 != nil || err2 != nil || partition < 0 || offset < 0 {
		return ID{}, fmt.Errorf("the id of a dead letter is partition/offset, such as 0/42, not %q", text)
	}
	return ID{int32(partition), offset}, nil
}

// Letter is one dead letter, where it lies and when it was written.
type Letter struct {
	letters.Letter
	ID   ID
	Time time.Time
	// Resolution is what became of it, nil where it is open.
	Resolution *letters.Resolution
	// Where tells of a letter that lacks a part of its record what is left of that, in
	// words; empty where nothing is missing.
	Where string
}

// At is when the letter's record failed last.
func (l *Letter) At() time.Time { return lastTime(&l.Letter, l.Time) }

// lastTime is when a letter's record failed last; letters of version 1 do not say, and
// were written then.
func lastTime(l *letters.Letter, written time.Time) time.Time {
	if l.Last.IsZero() {
		return written
	}
	return l.Last
}

// read visits the records of a topic, those of one partition in order, up to the end as
// it is now.
func (l *Letters) read(
	ctx context.Context, topic string, options kafka.ReadOptions, visit func(*handlers.Record),
) error {
	options.MaxRecordBytes = l.Largest
	reader, err := kafka.NewReader(l.Settings, l.Deps, topic, options)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Next(ctx)
		if l.OnRead != nil {
			l.OnRead(len(records))
		}
		for _, r := range records {
			visit(r)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// resolutions visits what became of the letters of the topic with an id, the last of a
// letter last; what is taken back comes with an empty How, and so does, with an error,
// what can't be read.
func (l *Letters) resolutions(
	ctx context.Context, topicID [16]byte, visit func(r letters.Resolution, back bool, err error),
) error {
	there, err := l.Admin.Topics(ctx, l.Resolved)
	if err != nil || len(there) == 0 {
		return err
	}
	return l.read(ctx, l.Resolved, kafka.ReadOptions{}, func(r *handlers.Record) {
		place, ok := letters.ResolvedLetter(r)
		if !ok || place.TopicID != topicID {
			return
		}
		if r.Value == nil {
			visit(letters.Resolution{Letter: place}, true, nil)
			return
		}
		resolution, err := letters.DecodeResolution(r)
		visit(resolution, false, err)
	})
}

// topicID is the id of the dead-letter topic.
func (l *Letters) topicID(ctx context.Context) ([16]byte, error) {
	there, err := l.Admin.Topics(ctx, l.Topic)
	if err != nil {
		return [16]byte{}, err
	}
	if len(there) == 0 {
		return [16]byte{}, fmt.Errorf("topic %q does not exist", l.Topic)
	}
	return there[0].ID, nil
}
