package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/kafka"
)

// groupPrefix begins the names of the groups of jobs.
const groupPrefix = "millrace-job."

// GroupOf is the consumer group of the jobs of a pipeline: membership is the lock, the
// commits are the progress.
func GroupOf(pipeline string) string { return groupPrefix + pipeline }

// New makes a job that begins now, with an id of its own.
func New(kind api.JobKind, pipeline, by string) api.Job {
	return api.Job{ID: "job-" + token(), Kind: kind, Pipeline: pipeline, By: by,
		Began: time.Now().UTC().Truncate(time.Millisecond)}
}

// Held is the job as somebody begins it or goes on with it, by whom nobody else can be
// meant.
func Held(job api.Job) api.Job {
	job.Run = token()
	return job
}

func token() string { return strings.ToLower(rand.Text()[:8]) }

// noted is what stands beside the commit of a span.
type noted struct {
	Job    api.Job          `json:"job"`
	From   int64            `json:"from"`
	Until  int64            `json:"until"`
	Counts map[string]int64 `json:"counts,omitempty"`
}

func noteOf(job api.Job, from, until int64, counts map[string]int64) string {
	text, err := json.Marshal(noted{job, from, until, counts})
	if err != nil {
		panic(err) // numbers, times of this era and text can't fail
	}
	return string(text)
}

// Lock is where the jobs of pipelines stand.
type Lock struct{ Admin *kafka.Admin }

// Standing is a job as its group has it.
type Standing struct {
	Job   api.Job
	Spans []api.Span
	// Members are who works on it now; none where nobody does.
	Members []kafka.Member
}

// Find looks for the job of a pipeline, nil where there is none.
func (l Lock) Find(ctx context.Context, pipeline string) (*Standing, error) {
	notes, err := l.Admin.Notes(ctx, GroupOf(pipeline))
	// Partitions that are not the job's may have a commit too.
	notes = slices.DeleteFunc(notes, func(n kafka.Noted) bool { return n.Text == "" })
	if err != nil || len(notes) == 0 {
		return nil, err
	}
	s := new(Standing)
	for _, n := range notes {
		var at noted
		if err := json.Unmarshal([]byte(n.Text), &at); err != nil {
			return nil, fmt.Errorf("the commits of group %q are not those of a job that this Millrace knows: %w",
				GroupOf(pipeline), err)
		}
		s.Job = at.Job
		s.Spans = append(s.Spans, api.Span{Topic: n.Topic, TopicID: n.TopicID, Partition: n.Partition, From: at.From,
			Until: at.Until, Next: n.Offset, Counts: at.Counts})
	}
	s.Members, err = l.Admin.Members(ctx, GroupOf(pipeline))
	return s, err
}

// All lists the jobs of all pipelines that are not done.
func (l Lock) All(ctx context.Context) ([]*Standing, error) {
	groups, err := l.Admin.Groups(ctx, groupPrefix)
	if err != nil {
		return nil, err
	}
	var all []*Standing
	for _, group := range groups {
		s, err := l.Find(ctx, strings.TrimPrefix(group, groupPrefix))
		if err != nil {
			return nil, err
		}
		if s != nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// BusyError says that a pipeline has another job.
type BusyError struct {
	Pipeline string
	// Other is that job, its ID empty where it is not known; Members work on it.
	Other   api.Job
	Members []kafka.Member
}

// Error names the other job and what can be done.
func (e *BusyError) Error() string {
	what := fmt.Sprintf("pipeline %q has a job already", e.Pipeline)
	if e.Other.ID != "" {
		what = fmt.Sprintf("%s: %s %s, begun by %s on %s", what, e.Other.Kind, e.Other.ID, e.Other.By,
			e.Other.Began.Format(time.RFC3339))
	}
	switch {
	case e.Other.ID == "":
		return what + ", which began at the same moment"
	case len(e.Members) == 0:
		return what + fmt.Sprintf("; nobody works on it now: go on with --id %[1]s, or end it with `millrace jobs cancel "+
			"%[1]s`", e.Other.ID)
	}
	return what + fmt.Sprintf("; %s works on it", e.Members[0])
}

// killedPatience is how long a member that was killed may stay in its group.
const killedPatience = 20 * time.Second

// Take puts a job in the place of what its group has committed. It fails with a
// *BusyError where another job is not done, or somebody works on the same one; who was
// killed while he did is waited for. Whoever takes it joins the group next, and asks
// Alone before it begins.
func (l Lock) Take(ctx context.Context, job api.Job, spans []api.Span) error {
	for deadline := time.Now().Add(killedPatience); ; {
		err := l.take(ctx, job, spans)
		busy, ok := errors.AsType[*BusyError](err)
		if !ok || busy.Other.ID != job.ID || time.Now().After(deadline) || !clock.Sleep(ctx, 500*time.Millisecond) {
			return err
		}
	}
}

func (l Lock) take(ctx context.Context, job api.Job, spans []api.Span) error {
	standing, err := l.Find(ctx, job.Pipeline)
	if err != nil {
		return err
	}
	if standing != nil && (standing.Job.ID != job.ID || len(standing.Members) > 0) {
		return &BusyError{job.Pipeline, standing.Job, standing.Members}
	}
	notes := make([]kafka.Noted, len(spans))
	for i, s := range spans {
		notes[i] = kafka.Noted{Topic: s.Topic, Partition: s.Partition, Offset: s.Next, TopicID: s.TopicID,
			Text: noteOf(job, s.From, s.Until, s.Counts)}
	}
	err = l.Admin.CommitNotes(ctx, GroupOf(job.Pipeline), notes)
	if kafka.HasMembers(err) {
		busy := &BusyError{Pipeline: job.Pipeline}
		if standing, err := l.Find(ctx, job.Pipeline); err == nil && standing != nil {
			busy.Other, busy.Members = standing.Job, standing.Members
		}
		return busy
	}
	return err
}

// Alone waits until the caller, who has joined the group for a job, is alone in it. It
// fails with a *BusyError where somebody else took the job after the caller did: of two
// who did so at the same time the last one wins, and nobody begins before he knows.
func (l Lock) Alone(ctx context.Context, job api.Job) error {
	for deadline := time.Now().Add(killedPatience); ; {
		standing, err := l.Find(ctx, job.Pipeline)
		switch {
		case err != nil:
			return err
		case standing == nil || standing.Job.Run != job.Run:
			busy := &BusyError{Pipeline: job.Pipeline}
			if standing != nil {
				busy.Other, busy.Members = standing.Job, standing.Members
			}
			return busy
		case len(standing.Members) == 1:
			return nil
		case time.Now().After(deadline) || !clock.Sleep(ctx, 100*time.Millisecond):
			return &BusyError{job.Pipeline, standing.Job, standing.Members}
		}
	}
}

// Release forgets a job that is done, and its progress.
func (l Lock) Release(ctx context.Context, pipeline string) error {
	return l.Admin.DeleteGroup(ctx, GroupOf(pipeline))
}
