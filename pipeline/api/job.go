package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// JobKind is what a job does.
type JobKind string

// The kinds. A replay runs a window of a pipeline's source again, a redrive its dead
// letters, and a discard ends these.
const (
	Replay  JobKind = "replay"
	Redrive JobKind = "redrive"
	Discard JobKind = "discard"
)

// Job is what somebody told a pipeline to do beside its live group. It stands beside
// the commits of the job's own group, so that it goes on from any machine: its JSON is
// durable.
type Job struct {
	ID       string  `json:"id"`
	Kind     JobKind `json:"kind"`
	Pipeline string  `json:"pipeline"`
	// Run tells who works on it from all others: it is a new one each time that
	// somebody begins or goes on.
	Run string `json:"run"`
	// By and Began say who began it, and when.
	By    string    `json:"by"`
	Began time.Time `json:"began"`
	// From and To bound the records' times, To excluded, where they are set. Where, not
	// empty, is a condition on them.
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Where string    `json:"where,omitempty"`
	// Rate is how many records a second may reach a sink; 0 is as the pipeline says.
	Rate float64 `json:"rate,omitempty"`
	// Force makes effects again that were made before, Forgotten those of which it is no
	// longer known.
	Force     bool `json:"force,omitempty"`
	Forgotten bool `json:"forgotten,omitempty"`
	// Letters say which dead letters a redrive or a discard is about; From and To then
	// bound when they failed last. Nil for a replay.
	Letters *LetterChoice `json:"letters,omitempty"`
	// Records is how many were counted at the start.
	Records int `json:"records"`
	// Asked are the flags that it was begun with: who goes on with it gives the same ones,
	// or none.
	Asked string `json:"asked,omitempty"`
}

const idCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-"

// LetterChoice chooses among a pipeline's open dead letters: all that is set must hold.
type LetterChoice struct {
	Reasons []string `json:"reasons,omitempty"`
	Stages  []string `json:"stages,omitempty"`
	Sinks   []string `json:"sinks,omitempty"`
	Round   int      `json:"round,omitempty"`
	// MostRounds leaves alone letters of a later round; 0 leaves none.
	MostRounds int `json:"most_rounds,omitempty"`
	// IDs are partition/offset each.
	IDs []string `json:"ids,omitempty"`
}

// maxWhere bounds what must fit beside a commit, in bytes, and maxJob all of a job.
const (
	maxWhere = 1000
	maxJob   = 3000
)

// Check tells what is wrong with a job as somebody gave it.
func (j *Job) Check() error {
	switch {
	case j.Kind != Replay && j.Kind != Redrive && j.Kind != Discard, (j.Kind == Replay) != (j.Letters == nil):
		return fmt.Errorf("there is no job of kind %q", j.Kind)
	case len(j.Where) > maxWhere:
		return fmt.Errorf("the condition has %d bytes, and at most %d stand beside the commits of a job", len(j.Where),
			maxWhere)
	case j.ID == "" || len(j.ID) > 64 || j.ID[0] == '-' || strings.Trim(j.ID, idCharacters) != "":
		return fmt.Errorf("the id of a job has up to 64 lower-case letters, digits and hyphens, the first of which is "+
			"no hyphen, not %q", j.ID)
	}
	if text, err := json.Marshal(j); err != nil || len(text) > maxJob {
		return fmt.Errorf("what the job chooses by has %d bytes, and at most %d stand beside its commits: give fewer "+
			"ids, or a filter", len(text), maxJob)
	}
	return nil
}

// Within tells whether a record's time lies in the job's window.
func (j *Job) Within(at time.Time) bool {
	return (j.From.IsZero() || !at.Before(j.From)) && (j.To.IsZero() || at.Before(j.To))
}

// Span is what a job does of one partition.
type Span struct {
	Topic     string  `json:"topic"`
	TopicID   TopicID `json:"topic_id"`
	Partition int32   `json:"partition"`
	// From and Until bound the offsets, Until excluded; Next is where it stands.
	From  int64 `json:"from"`
	Until int64 `json:"until"`
	Next  int64 `json:"next"`
	// Counts are how the records before Next ended, by word.
	Counts map[string]int64 `json:"counts,omitempty"`
}

// TopicID is the broker's id of a topic, in hexadecimal as text.
type TopicID [16]byte

// MarshalText writes it.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(id[:])), nil }

// UnmarshalText reads it.
func (id *TopicID) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("%q is no topic id", text)
	}
	copy(id[:], raw)
	return nil
}

// JobState is how a job fares.
type JobState string

// The states of a job. One that was interrupted or failed goes on where it was when
// somebody tells it to.
const (
	JobRunning     JobState = "running"
	JobFinished    JobState = "finished"
	JobCancelled   JobState = "cancelled"
	JobInterrupted JobState = "interrupted"
	JobFailed      JobState = "failed"
)

// JobStatus is a job and how it fares.
type JobStatus struct {
	Job
	State JobState `json:"state"`
	// Counts are how its records ended so far, by word, and Done all of them.
	Counts map[string]int64 `json:"counts"`
	Done   int64            `json:"done"`
	// Waits says what it waits for, such as a sink that is down.
	Waits []string `json:"waits,omitempty"`
	// WhereFailed counts the records that were left out since the condition failed for
	// them.
	WhereFailed int `json:"where_failed,omitempty"`
	// NotKept is why it is not noted how it ended, empty where it is.
	NotKept string `json:"not_kept,omitempty"`
	// Expires is when the first key is forgotten that a duplicate was found by.
	Expires time.Time `json:"expires,omitzero"`
	// Ended is when it did, Error why it failed.
	Ended time.Time `json:"ended,omitzero"`
	Error string    `json:"error,omitempty"`
}

// StartJob is what the API is sent to begin a job, or to go on with one.
type StartJob struct {
	Job   Job    `json:"job"`
	Spans []Span `json:"spans"`
}

// UnknownJobError says that a process knows no job of an id.
type UnknownJobError struct{ ID string }

// Error names it.
func (e *UnknownJobError) Error() string { return fmt.Sprintf("this process has no job %q", e.ID) }

// Jobs is what a person may do with the jobs of a process.
type Jobs interface {
	// StartJob begins a job, or goes on with it, and does not wait for its end. The
	// error is an *UnknownPipelineError where it runs none of the name.
	StartJob(ctx context.Context, start StartJob) (JobStatus, error)
	// Jobs are those that the process works on, or did.
	Jobs() []JobStatus
	// CancelJob has a job end, once what is in flight is finished: it does not wait for
	// that. The error is an *UnknownJobError where it works on none of the id.
	CancelJob(id string) (JobStatus, error)
}

func handleJobs(mux *http.ServeMux, controller Jobs) {
	mux.HandleFunc("GET "+prefix+"/jobs", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, append([]JobStatus{}, controller.Jobs()...))
	})
	mux.HandleFunc("POST "+prefix+"/jobs", func(w http.ResponseWriter, r *http.Request) {
		var asked StartJob
		if !readJSON(w, r, &asked) {
			return
		}
		if err := asked.Job.Check(); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		answer, err := controller.StartJob(r.Context(), asked)
		answerJob(w, answer, err)
	})
	mux.HandleFunc("GET "+prefix+"/jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, job := range controller.Jobs() {
			if job.ID == r.PathValue("id") {
				writeJSON(w, http.StatusOK, job)
				return
			}
		}
		answerJob(w, JobStatus{}, &UnknownJobError{r.PathValue("id")})
	})
	mux.HandleFunc("POST "+prefix+"/jobs/{id}/cancel", func(w http.ResponseWriter, r *http.Request) {
		answer, err := controller.CancelJob(r.PathValue("id"))
		answerJob(w, answer, err)
	})
}

func answerJob(w http.ResponseWriter, answer JobStatus, err error) {
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, answer)
	case errors.As(err, new(*UnknownPipelineError)), errors.As(err, new(*UnknownJobError)):
		writeError(w, http.StatusNotFound, err)
	default:
		writeError(w, http.StatusConflict, err)
	}
}

// StartJob has the process begin a job, or go on with it.
func (c *Client) StartJob(ctx context.Context, start StartJob) (JobStatus, error) {
	var answer JobStatus
	err := c.do(ctx, http.MethodPost, "/jobs", start, &answer)
	return answer, err
}

// Job asks how a job of the process fares.
func (c *Client) Job(ctx context.Context, id string) (JobStatus, error) {
	var answer JobStatus
	err := c.do(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id), nil, &answer)
	return answer, err
}

// Jobs asks for all jobs of the process.
func (c *Client) Jobs(ctx context.Context) ([]JobStatus, error) {
	var answer []JobStatus
	err := c.do(ctx, http.MethodGet, "/jobs", nil, &answer)
	return answer, err
}

// CancelJob has the process end a job.
func (c *Client) CancelJob(ctx context.Context, id string) (JobStatus, error) {
	var answer JobStatus
	err := c.do(ctx, http.MethodPost, "/jobs/"+url.PathEscape(id)+"/cancel", nil, &answer)
	return answer, err
}
