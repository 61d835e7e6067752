package api_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/api"
)

func TestHealth(t *testing.T) {
	r := &reporter{}
	server, err := api.ServeHealth(t.Context(), api.HealthConfig{
		Listen: "127.0.0.1:0", Reporter: r, Metrics: api.NewMetrics("1.2.3", r), Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + server.Addr()

	tests := []struct {
		name   string
		status api.Status
		path   string
		code   int
		body   string
	}{
		{"alive", api.Status{}, "/livez", 200, "ok\n"},
		{"ready", api.Status{Ready: true}, "/readyz", 200, "ready\n"},
		{"not ready, no reason known", api.Status{}, "/readyz", 503, "not ready\n"},
		{"not ready", api.Status{
			Reasons: []string{"key store: dial patient-name.secret: no such host"}, Kinds: []string{"key store"},
			Pipelines: []api.PipelineStatus{
				{Name: "orders", Reasons: []string{"sink http: the name card-4111 is not taken"}, Kinds: []string{"sink http"}}, {Name: "idle"},
			},
		}, "/readyz", 503, "key store\norders: sink http\n"},
		{"nothing else", api.Status{Ready: true}, "/", 404, ""},
		{"no status", api.Status{Ready: true}, "/status", 404, ""},
		{"no profiles", api.Status{Ready: true}, "/debug/pprof/", 404, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r.set(test.status)
			code, body := get(t, url+test.path)
			if code != test.code || (test.code != 404 && body != test.body) {
				t.Errorf("got %d %q, want %d %q", code, body, test.code, test.body)
			}
		})
	}

	if code, body := get(t, url+"/metrics"); code != 200 || !strings.Contains(body, `millrace_build_info{`) {
		t.Errorf("metrics: %d %.200s", code, body)
	}
	for range 2 {
		if err := server.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestHealthNamesTheKeyOfATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, err = api.ServeHealth(t.Context(), api.HealthConfig{
		Listen: taken.Addr().String(), Reporter: &reporter{}, Metrics: api.NewMetrics("", nil), Logger: quiet(),
	})
	if err == nil || !strings.Contains(err.Error(), "another process has the port: change server.health") {
		t.Errorf("got %v", err)
	}
}

// A page whose name points at this machine reads nothing.
func TestHealthIsCalledByItsNames(t *testing.T) {
	r := &reporter{}
	server, err := api.ServeHealth(t.Context(), api.HealthConfig{
		Listen: "127.0.0.1:0", Hosts: []string{"health.example"}, Reporter: r, Metrics: api.NewMetrics("1.2.3", r), Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"rebind.example": 421, "localhost": 200, "health.example:80": 200, server.Addr(): 200} {
		for _, path := range []string{"/livez", "/metrics"} {
			req, err := http.NewRequest("GET", "http://"+server.Addr()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host, req.Close = host, true
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want || want == 421 && !strings.HasPrefix(string(body), `{"error":"`) {
				t.Errorf("%s as %s: %d %.100s", path, host, resp.StatusCode, body)
			}
		}
	}
	if err := server.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
