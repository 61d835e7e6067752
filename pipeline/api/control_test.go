package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
)

func control(t *testing.T, handler http.Handler) (*api.Server, *api.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "control.sock")
	server, err := api.ServeControl(t.Context(), socket, handler, quiet())
	if err != nil {
		t.Fatal(err)
	}
	client := api.Dial(socket)
	t.Cleanup(func() {
		client.Close()
		for range 2 {
			if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(socket); !os.IsNotExist(err) {
			t.Errorf("the socket was left: %v", err)
		}
	})
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
	return server, client
}

func TestControlStatus(t *testing.T) {
	r := &reporter{}
	want := api.Status{
		PID: 12, Version: "1.2.3", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Broker: "127.0.0.1:9092",
		Embedded: true, Reasons: []string{"starting"},
		Pipelines: []api.PipelineStatus{{
			Name: "orders", State: "running", Outcomes: map[string]int64{"delivered": 3}, InFlight: 2, Lag: 5,
			Partitions: []kafka.PartitionStatus{{Topic: "t", Partition: 1, Committed: 3, End: 8, Lag: 5}},
		}},
	}
	r.set(want)
	_, client := control(t, api.Handler(r, nil))
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// held are the keys of a process.
type held struct {
	jobs   []api.JobStatus
	rows   map[idempotency.ID]*idempotency.Row
	err    error
	paused *api.Pause
}

func (h *held) StartJob(_ context.Context, start api.StartJob) (api.JobStatus, error) {
	if start.Job.Pipeline != "orders" {
		return api.JobStatus{}, &api.UnknownPipelineError{Name: start.Job.Pipeline}
	}
	h.jobs = append(h.jobs, api.JobStatus{Job: start.Job, State: api.JobRunning})
	return h.jobs[len(h.jobs)-1], h.err
}

func (h *held) Jobs() []api.JobStatus { return h.jobs }

func (h *held) CancelJob(id string) (api.JobStatus, error) {
	for i := range h.jobs {
		if h.jobs[i].ID == id {
			h.jobs[i].State = api.JobCancelled
			return h.jobs[i], nil
		}
	}
	return api.JobStatus{}, &api.UnknownJobError{ID: id}
}

func (h *held) Keys() (api.Keys, error) { return h, h.err }

func (h *held) Get(_ context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	rows := make([]*idempotency.Row, len(ids))
	for i, id := range ids {
		rows[i] = h.rows[id]
	}
	return rows, nil
}

func (h *held) Delete(_ context.Context, ids []idempotency.ID) ([]bool, error) {
	were := make([]bool, len(ids))
	for i, id := range ids {
		_, were[i] = h.rows[id]
		delete(h.rows, id)
	}
	return were, nil
}

// List gives one key a step.
func (h *held) List(_ context.Context, from string, _ int) (idempotency.Listing, error) {
	found := idempotency.Listing{Bytes: 7}
	for id, row := range h.rows {
		if id.External() > from && (len(found.Keys) == 0 || id.External() < found.Keys[0].External) {
			found.Keys = []idempotency.Listed{{External: id.External(), Row: row}}
			found.Next = id.External()
		}
	}
	return found, nil
}

// Pause knows one pipeline, which nothing can pause for good.
func (h *held) Pause(_ context.Context, pipeline string, p api.Pause) (api.PauseAnswer, error) {
	switch {
	case pipeline != "orders":
		return api.PauseAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	case p.Persist:
		return api.PauseAnswer{}, errors.New("the disk is full")
	}
	h.paused = &p
	return api.PauseAnswer{Pipeline: pipeline, Changed: true, Pause: &p, State: api.Paused, Others: []kafka.Assignment{{Topic: "t", Partition: 1}}}, nil
}

func (h *held) Resume(_ context.Context, pipeline string) (api.PauseAnswer, error) {
	if pipeline != "orders" {
		return api.PauseAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	}
	answer := api.PauseAnswer{Pipeline: pipeline, Changed: h.paused != nil, Pause: h.paused, State: api.Running}
	h.paused = nil
	return answer, nil
}

func TestControlPauses(t *testing.T) {
	h := &held{}
	_, client := control(t, api.Handler(&reporter{}, h))
	asked := api.Pause{User: "ann", Host: "box", PID: 7, Reason: "why"}
	before := time.Now().Add(-time.Second)
	got, err := client.Pause(t.Context(), "orders", asked)
	if err != nil || !got.Changed || got.State != api.Paused || len(got.Others) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if h.paused == nil || h.paused.Since.Before(before) || h.paused.Reason != "why" || !strings.HasPrefix(h.paused.String(), "paused by ann@box (pid 7) since 2") {
		t.Errorf("the process is told %+v", h.paused)
	}
	asked.Persist = true
	var refused *api.ResponseError
	if _, err := client.Pause(t.Context(), "orders", asked); !errors.As(err, &refused) || refused.Code != http.StatusInternalServerError || refused.Message != "the disk is full" {
		t.Errorf("got %v", err)
	}
	for _, changed := range []bool{true, false} {
		if got, err := client.Resume(t.Context(), "orders"); err != nil || got.Changed != changed {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := client.Resume(t.Context(), "a/b"); !errors.As(err, &refused) || refused.Code != http.StatusNotFound || refused.Message != `this process runs no pipeline "a/b"` {
		t.Errorf("got %v", err)
	}
}

func (h *held) Skip(_ context.Context, pipeline string, s api.Skip) (api.SkipAnswer, error) {
	if pipeline != "orders" {
		return api.SkipAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	}
	if s.Offset != 3 {
		return api.SkipAnswer{}, &api.NotStandingError{Pipeline: pipeline, Place: s.Place(), Standing: []api.Standing{{Topic: "t", Offset: 3, Reason: "no"}}}
	}
	return api.SkipAnswer{Pipeline: pipeline, Changed: true, Skip: s, State: api.Running}, nil
}

func TestControlSkips(t *testing.T) {
	_, client := control(t, api.Handler(&reporter{}, &held{}))
	before := time.Now().Add(-time.Second)
	skip := api.Skip{Topic: "t", Offset: 3, User: "ann", Host: "box", Passed: true, Archive: "/a"}
	got, err := client.Skip(t.Context(), "orders", skip)
	if err != nil || !got.Changed || got.Skip.Passed || got.Skip.At.Before(before) || got.State != api.Running || !strings.HasPrefix(got.Skip.String(), "skipped by ann@box at 2") {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		pipeline string
		skip     api.Skip
		code     int
		says     string
	}{
		{"parcels", skip, http.StatusNotFound, `this process runs no pipeline "parcels"`},
		{"orders", api.Skip{Topic: "t", Offset: 4}, http.StatusConflict, `pipeline "orders" does not stand at t/0/4; it stands at t/0/3 (no)`},
		{"orders", api.Skip{Offset: 4}, http.StatusBadRequest, "a record's place is a topic, a partition and an offset"},
		{"orders", api.Skip{Topic: "t", User: "a\nb"}, http.StatusBadRequest, "the user is one line of text, and this one has the character U+000A"},
	} {
		var refused *api.ResponseError
		if _, err := client.Skip(t.Context(), c.pipeline, c.skip); !errors.As(err, &refused) || refused.Code != c.code || refused.Message != c.says {
			t.Errorf("%+v: %v", c.skip, err)
		}
	}
}

func (h *held) AcceptReset(context.Context) error { return errors.New("nothing was lost") }

func TestControlKeys(t *testing.T) {
	row := &idempotency.Row{State: idempotency.Confirmed, Expires: time.UnixMilli(7)}
	h := &held{rows: map[idempotency.ID]*idempotency.Row{{1}: row}}
	_, client := control(t, api.Handler(&reporter{}, h))
	keys, ids := client.Keys(), []idempotency.ID{{1}, {2}}
	rows, err := keys.Get(t.Context(), ids)
	if err != nil || len(rows) != 2 || rows[1] != nil || rows[0] == nil || rows[0].State != row.State || !rows[0].Expires.Equal(row.Expires) {
		t.Errorf("got %v, %v", rows, err)
	}
	h.rows[idempotency.ID{2}] = row
	var listed []string
	for from := ""; ; {
		found, err := keys.List(t.Context(), from, 1)
		if err != nil || found.Bytes != 7 {
			t.Fatalf("%+v, %v", found, err)
		}
		for _, k := range found.Keys {
			listed = append(listed, k.External)
			if k.Row.State != row.State {
				t.Errorf("listed the row %+v", k.Row)
			}
		}
		if from = found.Next; from == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{ids[0].External(), ids[1].External()}, listed); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	delete(h.rows, idempotency.ID{2})
	for _, want := range []bool{true, false} {
		if were, err := keys.Delete(t.Context(), ids[:1]); err != nil || len(were) != 1 || were[0] != want {
			t.Errorf("deleted %v, %v, want %v", were, err, want)
		}
	}
	var refused *api.ResponseError
	if err := keys.AcceptReset(t.Context()); !errors.As(err, &refused) || refused.Message != "nothing was lost" {
		t.Errorf("got %v", err)
	}
	h.err = errors.New("the key store is not open yet")
	if _, err := keys.Get(t.Context(), ids); !errors.As(err, &refused) || refused.Code != http.StatusServiceUnavailable || refused.Message != h.err.Error() {
		t.Errorf("got %v", err)
	}
}

// What the API refuses, and how.
func TestAPIRefuses(t *testing.T) {
	handler := api.Handler(&reporter{}, &held{})
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/api/v1/keys/get", `{"ids": [], "and": 1}`, http.StatusBadRequest},
		{"POST", "/api/v1/keys/get", `{"ids": ["AAAA"]}`, http.StatusBadRequest},
		{"POST", "/api/v1/keys/get", `{`, http.StatusBadRequest},
		{"GET", "/api/v1/keys/get", ``, http.StatusMethodNotAllowed},
		{"POST", "/api/v1/pipelines/none/pause", `{}`, http.StatusNotFound},
		{"POST", "/api/v1/pipelines/none/resume", ``, http.StatusNotFound},
		{"POST", "/api/v1/pipelines/orders/pause", `{"reason": "two\nlines"}`, http.StatusBadRequest},
		{"POST", "/api/v1/pipelines/orders/pause", `{"user": "\u001b[2J"}`, http.StatusBadRequest},
		{"POST", "/api/v1/pipelines/orders/pause", `{"because": ""}`, http.StatusBadRequest},
		{"GET", "/api/v1/pipelines/orders/pause", ``, http.StatusMethodNotAllowed},
		{"POST", "/api/v1/pipelines/orders/pause", `{}`, http.StatusOK},
		{"GET", "/api/v1/none", ``, http.StatusNotFound},
		{"GET", "/status", ``, http.StatusNotFound},
		{"GET", "/api/v1/status", ``, http.StatusOK},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.code {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.path, c.body, w.Code, c.code)
		}
	}
}

// A handler that hangs does not hold up the end of the process.
func TestControlCloseIsBounded(t *testing.T) {
	entered := make(chan struct{})
	server, client := control(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	answered := make(chan error, 1)
	go func() { _, err := client.Status(t.Context()); answered <- err }()
	<-entered
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Close(ended); err != nil {
		t.Error(err)
	}
	if err := <-answered; err == nil {
		t.Error("the request should have been cut off")
	}
}

func TestClientOfAProcessThatIsGone(t *testing.T) {
	_, err := api.Dial(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one that says that the socket is not there", err)
	}
}
