package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/pipeline/kafka"
)

// Pause is who told a pipeline to take no records, when and why.
type Pause struct {
	User  string    `json:"user"`
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	// Reason is one line of text, empty where none was given.
	Reason string `json:"reason,omitempty"`
	// Persist keeps it over a restart.
	Persist bool `json:"persist,omitempty"`
}

// String says all of it.
func (p Pause) String() string {
	text := fmt.Sprintf("paused by %s@%s (pid %d) since %s UTC", p.User, p.Host, p.PID,
		p.Since.UTC().Format(time.DateTime))
	if p.Persist {
		text += ", also over a restart"
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

const (
	// maxReason and maxWho bound what a pause says, in bytes.
	maxReason, maxWho = 500, 255
)

// Check tells what is wrong with a pause as somebody gave it.
func (p Pause) Check() error {
	if len(p.Reason) > maxReason {
		return fmt.Errorf("a reason has at most %d bytes, and this one has %d", maxReason, len(p.Reason))
	}
	for what, text := range map[string]string{"reason": p.Reason, "user": p.User, "host": p.Host} {
		if !utf8.ValidString(text) || len(text) > max(maxWho, maxReason) {
			return fmt.Errorf("the %s is no text", what)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				return fmt.Errorf("the %s is one line of text, and this one has the character %U", what, r)
			}
		}
	}
	return nil
}

// PauseAnswer is what became of a pipeline that somebody paused or resumed.
type PauseAnswer struct {
	Pipeline string `json:"pipeline"`
	// Changed is false where it was so before, or of a pause that is kept over a
	// restart from now on.
	Changed bool `json:"changed"`
	// Pause is the one that holds now, or that ended.
	Pause *Pause `json:"pause,omitempty"`
	State State  `json:"state"`
	// InFlight is how many records are worked on; they finish.
	InFlight int `json:"in_flight"`
	// Own are the partitions that stay assigned to the process, Others those that
	// other members of the group have; OthersUnknown says why that is not known.
	Own           []kafka.Assignment `json:"own,omitempty"`
	Others        []kafka.Assignment `json:"others,omitempty"`
	OthersUnknown string             `json:"others_unknown,omitempty"`
}

// UnknownPipelineError says that a process runs no pipeline of a name.
type UnknownPipelineError struct{ Name string }

// Error names it.
func (e *UnknownPipelineError) Error() string {
	return fmt.Sprintf("this process runs no pipeline %q", e.Name)
}

// handlePauses answers what pauses and resumes one pipeline.
func handlePauses(mux *http.ServeMux, controller Controller) {
	path := "POST " + prefix + "/pipelines/{name}/"
	mux.HandleFunc(path+"pause", func(w http.ResponseWriter, r *http.Request) {
		var asked Pause
		if !readJSON(w, r, &asked) {
			return
		}
		if err := asked.Check(); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		asked.Since = time.Now().UTC()
		answer, err := controller.Pause(r.Context(), r.PathValue("name"), asked)
		answerPause(w, answer, err)
	})
	mux.HandleFunc(path+"resume", func(w http.ResponseWriter, r *http.Request) {
		answer, err := controller.Resume(r.Context(), r.PathValue("name"))
		answerPause(w, answer, err)
	})
}

func answerPause(w http.ResponseWriter, answer PauseAnswer, err error) {
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, answer)
	case errors.As(err, new(*UnknownPipelineError)):
		writeError(w, http.StatusNotFound, err)
	default:
		writeError(w, http.StatusInternalServerError, err)
	}
}

// Pause tells a pipeline of the process to take no records.
func (c *Client) Pause(ctx context.Context, pipeline string, pause Pause) (PauseAnswer, error) {
	var answer PauseAnswer
	if err := c.do(ctx, http.MethodPost, "/pipelines/"+url.PathEscape(pipeline)+"/pause", pause, &answer); err != nil {
		return PauseAnswer{}, fmt.Errorf("pause pipeline %q: %w", pipeline, err)
	}
	return answer, nil
}

// Resume lets a pipeline of the process take records again.
func (c *Client) Resume(ctx context.Context, pipeline string) (PauseAnswer, error) {
	var answer PauseAnswer
	if err := c.do(ctx, http.MethodPost, "/pipelines/"+url.PathEscape(pipeline)+"/resume", nil, &answer); err != nil {
		return PauseAnswer{}, fmt.Errorf("resume pipeline %q: %w", pipeline, err)
	}
	return answer, nil
}
