package admin_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/admin"
	"github.com/millrace/millrace/pipeline/kafka"
)

func control(t *testing.T, config admin.ControlConfig) (*admin.Control, *admin.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config.Socket = filepath.Join(dir, "control.sock")
	config.Logger = quiet()
	server, err := admin.ServeControl(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	client := admin.Dial(config.Socket)
	t.Cleanup(func() {
		client.Close()
		for range 2 {
			if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(config.Socket); !os.IsNotExist(err) {
			t.Errorf("the socket was left: %v", err)
		}
	})
	info, err := os.Stat(config.Socket)
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
	want := admin.Status{
		PID: 12, Version: "1.2.3", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Broker: "127.0.0.1:9092",
		Embedded: true, Reasons: []string{"starting"},
		Pipelines: []admin.PipelineStatus{{
			Name: "orders", State: "running", Outcomes: map[string]int64{"delivered": 3}, InFlight: 2, Lag: 5,
			Partitions: []kafka.PartitionStatus{{Topic: "t", Partition: 1, Committed: 3, End: 8, Lag: 5}},
		}},
	}
	r.set(want)
	_, client := control(t, admin.ControlConfig{Reporter: r})
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestControlCreatesTopics(t *testing.T) {
	made := map[string]int32{}
	_, client := control(t, admin.ControlConfig{
		Reporter: &reporter{},
		CreateTopic: func(_ context.Context, name string, partitions int32) error {
			if name == "" {
				return errors.New("a topic needs a name")
			}
			made[name] = partitions
			return nil
		},
	})
	for name, partitions := range map[string]int32{"orders": 0, "logs": 12} {
		if err := client.CreateTopic(t.Context(), name, partitions); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]int32{"orders": 0, "logs": 12}, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	err := client.CreateTopic(t.Context(), "", 0)
	var refused *admin.ResponseError
	if !errors.As(err, &refused) || refused.Code != http.StatusUnprocessableEntity || refused.Message != "a topic needs a name" {
		t.Errorf("got %v", err)
	}
}

func TestControlWithoutAnEmbeddedBroker(t *testing.T) {
	_, client := control(t, admin.ControlConfig{Reporter: &reporter{}})
	err := client.CreateTopic(t.Context(), "orders", 1)
	var refused *admin.ResponseError
	if !errors.As(err, &refused) || refused.Code != http.StatusConflict {
		t.Errorf("got %v", err)
	}
}

func TestControlHandlesWhatCommandsAdd(t *testing.T) {
	server, client := control(t, admin.ControlConfig{Reporter: &reporter{}})
	type order struct{ Pipeline string }
	server.Handle("POST /pause", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in order
		if admin.ReadJSON(w, r, &in) {
			admin.WriteJSON(w, http.StatusOK, order{Pipeline: in.Pipeline + " paused"})
		}
	}))
	var out order
	if err := client.Do(t.Context(), http.MethodPost, "/pause", order{Pipeline: "orders"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.Pipeline != "orders paused" {
		t.Errorf("got %q", out.Pipeline)
	}

	var refused *admin.ResponseError
	err := client.Do(t.Context(), http.MethodPost, "/pause", map[string]int{"pipline": 1}, &out)
	if !errors.As(err, &refused) || refused.Code != http.StatusBadRequest {
		t.Errorf("an unknown field: %v", err)
	}
	err = client.Do(t.Context(), http.MethodGet, "/none", nil, nil)
	if !errors.As(err, &refused) || refused.Code != http.StatusNotFound {
		t.Errorf("an unknown path: %v", err)
	}
}

// A handler that hangs does not hold up the end of the process.
func TestControlCloseIsBounded(t *testing.T) {
	server, client := control(t, admin.ControlConfig{Reporter: &reporter{}})
	entered := make(chan struct{})
	server.Handle("GET /hang", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	answered := make(chan error, 1)
	go func() { answered <- client.Do(t.Context(), http.MethodGet, "/hang", nil, nil) }()
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
	_, err := admin.Dial(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one that says that the socket is not there", err)
	}
}
