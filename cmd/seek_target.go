package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
)

// targets are the offsets that the goal means.
func (s *seeking) targets(ctx context.Context) (kafka.Offsets, error) {
	switch {
	case len(s.goal.at) > 0:
		return s.places(ctx)
	case s.goal.word == "earliest":
		return s.starts, nil
	case s.goal.word == "latest":
		return s.ends, nil
	}
	to, err := s.cluster.admin.OffsetsAt(ctx, s.goal.time, slices.Sorted(maps.Keys(s.topics))...)
	if err != nil {
		return nil, err
	}
	var cut []string
	for _, topic := range slices.Sorted(maps.Keys(to)) {
		for _, number := range slices.Sorted(maps.Keys(to[topic])) {
			// What an open transaction wrote is not yet read.
			at := min(to[topic][number], s.ends[topic][number])
			to[topic][number] = at
			start := s.starts[topic][number]
			if start == 0 || at > start || !mayLack(s.topics[topic].Configs, s.goal.time, time.Now()) {
				continue
			}
			since, err := s.first(ctx, topic, number, start)
			if err != nil {
				return nil, err
			}
			cut = append(cut, fmt.Sprintf("%s/%d from offset %d%s on", topic, number, start, since))
		}
	}
	if more := len(cut) - mostCut; more > 0 {
		cut = append(cut[:mostCut], fmt.Sprintf("%d more", more))
	}
	if len(cut) > 0 {
		return nil, usageError{fmt.Errorf("what there was at %s may be gone from the log, which has %s; --to earliest "+
			"goes to the first records that there are", s.goal.time.UTC().Format(time.RFC3339),
			strings.Join(cut, ", "))}
	}
	return to, nil
}

// mostCut is how many partitions an error names.
const mostCut = 5

// mayLack tells whether records from a time on may have been deleted, by what the topic
// keeps: where only age counts, nothing younger than that is gone.
func mayLack(configs map[string]string, at, now time.Time) bool {
	age, err := strconv.ParseInt(configs["retention.ms"], 10, 64)
	byAge := err == nil && age >= 0 && configs["retention.bytes"] == "-1"
	return !byAge || at.Before(now.Add(-time.Duration(age)*time.Millisecond))
}

// first is the time of the first record that a partition has, for people; empty where it
// has none.
func (s *seeking) first(ctx context.Context, topic string, number int32, start int64) (string, error) {
	end := s.ends[topic][number]
	if start >= end {
		return " (where it ends)", nil
	}
	log, err := s.app.clientLogger()
	if err != nil {
		return "", err
	}
	reader, err := kafka.NewReader(s.cluster.settings, kafka.Deps{Logger: log}, topic, kafka.ReadOptions{
		Offsets: map[int32]int64{number: start}, MaxRecordBytes: s.pipeline.Source.MaxRecordBytes,
		OnUnreadable: func(int32, int64, int64, error) {},
	})
	if err != nil {
		return "", err
	}
	defer reader.Close()
	records, err := reader.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if len(records) == 0 {
		return "", nil
	}
	return records[0].Time.UTC().Format(" (2006-01-02T15:04:05Z)"), nil
}

// places are the offsets that were named, which the log must have.
func (s *seeking) places(ctx context.Context) (kafka.Offsets, error) {
	to := kafka.Offsets{}
	for _, at := range s.goal.at {
		start, there := s.starts[at.topic][at.partition]
		end := s.ends[at.topic][at.partition]
		where := fmt.Sprintf("%s/%d/%d", at.topic, at.partition, at.offset)
		switch {
		case !there:
			return nil, usageError{fmt.Errorf("topic %q has no partition %d: it has %d, from 0 on", at.topic,
				at.partition, s.topics[at.topic].Partitions)}
		case at.word == "earliest":
			at.offset = start
		case at.word == "latest":
			at.offset = end
		case at.offset < start:
			since, err := s.first(ctx, at.topic, at.partition, start)
			if err != nil {
				return nil, err
			}
			return nil, usageError{fmt.Errorf("%s is gone: the log begins at offset %d%s", where, start, since)}
		case at.offset > end:
			return nil, usageError{fmt.Errorf("%s is not written yet: the log ends at offset %d", where, end)}
		}
		if to[at.topic] == nil {
			to[at.topic] = map[int32]int64{}
		}
		to[at.topic][at.partition] = at.offset
	}
	return to, nil
}

// show prints the table.
func (s *seeking) show(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	row(table, "TOPIC", "PARTITION", "STANDS AT", "WOULD GO TO", "BETWEEN")
	var leftOut, readAgain int64
	for _, m := range s.moves {
		row(table, m.Topic, strconv.Itoa(int(m.Partition)), m.from(), strconv.FormatInt(m.To, 10), m.words())
		leftOut, readAgain = leftOut+m.LeftOut, readAgain+m.ReadAgain
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if leftOut+readAgain > 0 {
		fmt.Fprintf(out, "%s would be left out, %d read again\n", count(int(leftOut), "record"), readAgain)
	}
	return nil
}

func (m seekMove) from() string {
	if m.From == nil {
		return "-"
	}
	return strconv.FormatInt(*m.From, 10)
}

// words say what a move means.
func (m seekMove) words() string {
	switch {
	case m.Fresh:
		return "no commit of the topic: it begins as source.start says"
	case m.From == nil:
		return "no commit yet"
	case m.OtherTopic:
		return "the topic was made again since"
	case m.stays():
		return "stays"
	case m.LeftOut > 0:
		return fmt.Sprintf("%d left out", m.LeftOut)
	case m.ReadAgain > 0:
		return fmt.Sprintf("%d read again", m.ReadAgain)
	default:
		return "nothing that there is"
	}
}

// end says why nothing was moved, or shows what would be.
func (s *seeking) end(f seekFlags, stands bool) error {
	switch {
	case f.format == "json":
		return s.json(false)
	case stands:
		fmt.Fprintf(s.app.out, "nothing to move: %s stands there already\n", s.pipeline.Name)
	default:
		fmt.Fprintln(s.app.out, "nothing was moved")
	}
	return nil
}

func (s *seeking) json(moved bool) error {
	return json.NewEncoder(s.app.out).Encode(struct {
		Pipeline   string     `json:"pipeline"`
		Group      string     `json:"group"`
		Moved      bool       `json:"moved"`
		Partitions []seekMove `json:"partitions"`
	}{s.pipeline.Name, s.pipeline.Source.Group, moved, s.moves})
}
