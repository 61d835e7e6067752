package cmd

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
)

// health asks the process's health listener.
func health(t *testing.T, port int, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// clusterBeside is a configuration on a broker of its own process at port, which
// may not run.
func clusterBeside(t *testing.T, port, healthPort int, more string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", fmt.Sprintf(`
kafka: {brokers: ['127.0.0.1:%d']}
server: {health: '127.0.0.1:%d'}
%s
`, port, healthPort, more))
	return dir
}

const copying = "pipelines: {copy: {source: {topic: orders}, sinks: [{kafka: {topic: copies}}]}}"

// TestRunWaitsForKafka starts before any broker, and meets the end of the broker
// that it found, with nothing to do: it is never ready while none answers.
func TestRunWaitsForKafka(t *testing.T) {
	port, healthPort := freePort(t), freePort(t)
	dir := clusterBeside(t, port, healthPort, copying)
	p := launch(t, dir, "run", "--create-topics")
	refused := func() bool {
		code, body := health(t, healthPort, "/readyz")
		return code == http.StatusServiceUnavailable && (strings.Contains(body, "waiting for Kafka") || strings.Contains(body, "brokers\n"))
	}
	p.await("it says what it waits for", refused)
	if code, body := health(t, healthPort, "/livez"); code != http.StatusOK {
		t.Errorf("livez %d %s", code, body)
	}
	s := p.status()
	if s.Ready || len(s.Pipelines) != 1 || s.Pipelines[0].State != "starting" || s.Pipelines[0].Lag != kafka.LagUnknown {
		t.Errorf("while it waits: %+v", s)
	}

	brokerDir := t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	broker := start(t, brokerDir, "broker", "--listen", listen)
	running := func() bool {
		s := p.status()
		return s.Ready && s.Pipelines[0].State == "running" && s.Pipelines[0].Lag == 0
	}
	p.await("it is ready", running)
	if n := strings.Count(p.log(), `"waiting_for":"Kafka"`); n != 1 {
		t.Errorf("the one cause was logged %d times", n)
	}

	broker.kill()
	p.await("it is not ready without a broker", refused)
	p.await("its lag is unknown", func() bool {
		s := p.status()
		_, metrics := health(t, healthPort, "/metrics")
		return s.Pipelines[0].State == "waiting" && s.Pipelines[0].Lag == kafka.LagUnknown && !strings.Contains(metrics, "millrace_lag{")
	})
	if _, text, _ := millrace(t, dir, "status"); !strings.Contains(text, "NOT READY") || !strings.Contains(text, "unknown") {
		t.Errorf("status:\n%s", text)
	}
	start(t, brokerDir, "broker", "--listen", listen)
	p.await("it is ready again by itself", running)
}

// TestAStartThatWaitsCanBeStopped is a service that is stopped before what it needs
// came up.
func TestAStartThatWaitsCanBeStopped(t *testing.T) {
	store := fmt.Sprintf("idempotency: {store: 'redis://127.0.0.1:%d/0'}\n", freePort(t))
	guarded := store + "pipelines: {p: {source: {topic: orders}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}"
	for what, up := range map[string]bool{"Kafka": false, "the key store": true} {
		t.Run(what, func(t *testing.T) {
			port, healthPort := freePort(t), freePort(t)
			if up {
				start(t, t.TempDir(), "broker", "--listen", fmt.Sprintf("127.0.0.1:%d", port))
			}
			p := launch(t, clusterBeside(t, port, healthPort, guarded), "run", "--create-topics")
			p.await("it waits", func() bool {
				code, body := health(t, healthPort, "/readyz")
				return code == http.StatusServiceUnavailable && strings.Contains(body, "waiting for "+what)
			})
			if code := p.stop(); code != exitDone {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestAStartThatCannotSucceedEnds is a Redis that refuses the credentials: waiting
// would be for ever.
func TestAStartThatCannotSucceedEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go answerAll(l, "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
	port := freePort(t)
	start(t, t.TempDir(), "broker", "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	dir := clusterBeside(t, port, freePort(t), fmt.Sprintf("idempotency: {store: 'redis://:wrong@%s/0'}\n", l.Addr())+
		"pipelines: {p: {source: {topic: orders}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}")
	code, _, stderr := millrace(t, dir, "run", "--create-topics")
	if code != exitFailed || !strings.Contains(stderr, "WRONGPASS") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
}

// answerAll answers whatever comes on every connection with one text.
func answerAll(l net.Listener, text string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			buffer := make([]byte, 4096)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				// One answer for each command, which begins with its number of words.
				for range strings.Count("\n"+string(buffer[:n]), "\n*") {
					if _, err := conn.Write([]byte(text)); err != nil {
						return
					}
				}
			}
		}()
	}
}

// TestAStoppedPipelineHasLag is one that met a record it must stop at: what comes
// after that is before it, and the lag says so.
func TestAStoppedPipelineHasLag(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", fmt.Sprintf(`
kafka: {embedded: {listen: '127.0.0.1:0'}}
server: {health: '127.0.0.1:%d'}
topics: {orders: {partitions: 1}, others: {partitions: 1}}
pipelines:
  strict: {source: {topic: orders}, filter: payload.n > 1, on_error: stop, sinks: [{stdout: {}}]}
  other: {source: {topic: others}, sinks: [{stdout: {}}]}
`, freePort(t)))
	p := start(t, dir, "run")
	publish := func(values ...string) {
		t.Helper()
		for _, v := range values {
			if code, _, stderr := millrace(t, dir, "publish", "orders", v); code != 0 {
				t.Fatal(stderr)
			}
		}
	}
	strict := func() api.PipelineStatus { return p.status().Pipelines[0] }
	publish(`{"n": 5}`, `{"n": "x"}`, `{"n": 6}`)
	p.await("it has stopped with what it did not do before it", func() bool { s := strict(); return s.State == "stopped" && s.Lag == 2 })
	publish(`{"n": 7}`, `{"n": 8}`)
	p.await("its lag grows with the log", func() bool { return strict().Lag == 4 })
}
