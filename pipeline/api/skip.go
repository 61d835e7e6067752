package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Standing is a record that a pipeline does not get past by itself.
type Standing struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Sink is the one that does not take it, empty where it can't be decided.
	Sink string `json:"sink,omitempty"`
	// Reason is what it met.
	Reason string `json:"reason"`
}

// Place is topic/partition/offset.
func (s Standing) Place() string { return fmt.Sprintf("%s/%d/%d", s.Topic, s.Partition, s.Offset) }

// Skip is a record that a person lets a pipeline go past: who, when, and where it was
// kept.
type Skip struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// TopicID is the topic's id in hexadecimal digits, empty where it is not known.
	TopicID string    `json:"topic_id,omitempty"`
	User    string    `json:"user"`
	Host    string    `json:"host"`
	At      time.Time `json:"at"`
	// Archive is the file that the record was written to.
	Archive string `json:"archive,omitempty"`
	// Reason is what the record met.
	Reason string `json:"reason,omitempty"`
	// Passed tells that the group's commit lies behind it: it does not come again.
	Passed bool `json:"passed,omitempty"`
}

// Place is topic/partition/offset.
func (s Skip) Place() string { return fmt.Sprintf("%s/%d/%d", s.Topic, s.Partition, s.Offset) }

// String says who skipped the record, when and where it was kept.
func (s Skip) String() string {
	text := fmt.Sprintf("skipped by %s@%s at %s UTC", s.User, s.Host, s.At.UTC().Format(time.DateTime))
	if s.Archive != "" {
		text += ", archived in " + s.Archive
	}
	return text
}

// Same tells whether two skips are of the same record.
func (s Skip) Same(other Skip) bool {
	return s.Topic == other.Topic && s.Partition == other.Partition && s.Offset == other.Offset
}

// Check tells what is wrong with a skip as somebody gave it.
func (s Skip) Check() error {
	if s.Topic == "" || s.Partition < 0 || s.Offset < 0 {
		return errors.New("a record's place is a topic, a partition and an offset")
	}
	if len(s.Archive) > maxArchive {
		return fmt.Errorf("the archive's path has at most %d bytes", maxArchive)
	}
	return Pause{User: s.User, Host: s.Host}.Check()
}

const maxArchive = 4096

// SkipAnswer is what became of a pipeline that a person let go past a record.
type SkipAnswer struct {
	Pipeline string `json:"pipeline"`
	// Changed is false where it was told so before.
	Changed bool `json:"changed"`
	// Skip is the one that holds, State what the pipeline does now.
	Skip  Skip  `json:"skip"`
	State State `json:"state"`
}

// NotStandingError says that a pipeline does not stand at a record, and where it does.
type NotStandingError struct {
	Pipeline, Place string
	Standing        []Standing
	// Waits are why it waits, where it does not stand at any.
	Waits []string
}

// Error says so.
func (e *NotStandingError) Error() string {
	text := fmt.Sprintf("pipeline %q does not stand at %s", e.Pipeline, e.Place)
	if len(e.Standing) == 0 {
		text += ", nor at any other record"
		if len(e.Waits) > 0 {
			text += "; it waits for what is no record's fault: " + strings.Join(e.Waits, "; ")
		}
		return text
	}
	var all []string
	for i, s := range e.Standing {
		if i == mostStanding {
			all = append(all, fmt.Sprintf("and %d more", len(e.Standing)-i))
			break
		}
		if where := s.Place() + " (" + s.Reason + ")"; !slices.Contains(all, where) {
			all = append(all, where)
		}
	}
	return text + "; it stands at " + strings.Join(all, ", ")
}

// mostStanding is how many records an error names.
const mostStanding = 5

// handleSkips answers what lets a pipeline go past a record.
func handleSkips(mux *http.ServeMux, controller Controller) {
	mux.HandleFunc("POST "+prefix+"/pipelines/{name}/skip", func(w http.ResponseWriter, r *http.Request) {
		var asked Skip
		if !readJSON(w, r, &asked) {
			return
		}
		if err := asked.Check(); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		asked.At, asked.Passed = time.Now().UTC(), false
		answer, err := controller.Skip(r.Context(), r.PathValue("name"), asked)
		switch {
		case err == nil:
			writeJSON(w, http.StatusOK, answer)
		case errors.As(err, new(*UnknownPipelineError)):
			writeError(w, http.StatusNotFound, err)
		case errors.As(err, new(*NotStandingError)):
			writeError(w, http.StatusConflict, err)
		default:
			writeError(w, http.StatusInternalServerError, err)
		}
	})
}

// Skip lets a pipeline of the process go past a record.
func (c *Client) Skip(ctx context.Context, pipeline string, skip Skip) (SkipAnswer, error) {
	var answer SkipAnswer
	if err := c.do(ctx, http.MethodPost, "/pipelines/"+url.PathEscape(pipeline)+"/skip", skip, &answer); err != nil {
		return SkipAnswer{}, fmt.Errorf("skip %s: %w", skip.Place(), err)
	}
	return answer, nil
}
