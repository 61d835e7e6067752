package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/pipeline/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reporter tells what a test set.
type reporter struct {
	mu     sync.Mutex
	status api.Status
}

func (r *reporter) Status() api.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *reporter) set(status api.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// get returns the code and the body of one answer, over a connection that is not
// kept.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
