package cmd

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
)

// road copies the repository's own pipelines.yaml into a fresh folder, on free
// ports, with the names of its bed.
func road(t *testing.T, b bed) (dir, ingest string) {
	t.Helper()
	dir = t.TempDir()
	text, ingest := roadFile(t, b)
	b.create(t, 6, "order_invoices", "notifications", "invoice-notifications.dead-letter", "notifications.dead-letter")
	writeRoad(t, dir, text+"\n"+b.blocks())
	return dir, ingest
}

// roadFile is the repository's own pipelines.yaml, on free ports, with the names
// of its bed.
func roadFile(t *testing.T, b bed) (text, ingest string) {
	t.Helper()
	own, err := os.ReadFile("../pipelines.yaml")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint("127.0.0.1:", freePort(t))
	text = strings.NewReplacer("127.0.0.1:8080", port, "127.0.0.1:8091", fmt.Sprint("127.0.0.1:", freePort(t))).Replace(string(own))
	for _, name := range []string{"topic: order_invoices", "topic: notifications", "  order_invoices:", "  invoice-notifications:", "  notifications:", "pipeline: invoice-notifications"} {
		at := strings.LastIndex(name, " ") + 1
		text = strings.ReplaceAll(text, name, name[:at]+b.name(name[at:]))
	}
	return text, "http://" + port
}

// writeRoad writes pipelines.yaml with the schema that it names.
func writeRoad(t *testing.T, dir, text string) {
	t.Helper()
	schema, err := os.ReadFile("../schemas/order.json")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "pipelines.yaml", text)
	write(t, dir, "schemas/order.json", string(schema))
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func send(t *testing.T, url, body string) {
	t.Helper()
	if code, text := post(t, url, body); code != http.StatusAccepted {
		t.Fatalf("POST %s: %d %s", url, code, text)
	}
}

// The newcomer's road: one order sent twice is notified once; a crash and the
// same order again changes nothing of that.
func TestOneNotificationPerOrder(t *testing.T) {
	t.Parallel()
	testOneNotificationPerOrder(t, bed{})
}

func testOneNotificationPerOrder(t *testing.T, b bed) {
	dir, ingest := road(t, b)
	const order = `{"order_id": "o-1", "status": "purchased", "total": 19.99}`
	p := start(t, dir, "run")
	send(t, ingest+"/orders", order)
	send(t, ingest+"/orders", order)
	settle(p, 2, 1)
	if lines := p.lines(); len(lines) != 1 || lines[0] != `{"order":"o-1","cents":1999}` {
		t.Fatalf("stdout: %q", lines)
	}
	p.kill()

	p = start(t, dir, "run")
	send(t, ingest+"/orders", order)
	send(t, ingest+"/orders", `{"order_id": "o-2", "status": "purchased", "total": 1}`)
	p.await("the second order is notified", func() bool { return len(p.lines()) > 0 })
	settle(p, 2, 1)
	if lines := p.lines(); len(lines) != 1 || lines[0] != `{"order":"o-2","cents":100}` {
		t.Fatalf("stdout after a restart: %q", lines)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// settle waits until the pipelines of the road have finished that many records
// each, and nothing is left.
func settle(p *process, orders, notifications int64) {
	p.t.Helper()
	p.await("all is finished", func() bool {
		s := p.status()
		total := func(i int) (n int64) {
			for _, c := range s.Pipelines[i].Outcomes {
				n += c
			}
			return n
		}
		return total(0) >= orders && total(1) >= notifications && s.Pipelines[0].InFlight+s.Pipelines[1].InFlight == 0
	})
}

func TestIngestAnswers(t *testing.T) {
	t.Parallel()
	testIngestAnswers(t, bed{})
}

func testIngestAnswers(t *testing.T, b bed) {
	dir, ingest := road(t, b)
	p := start(t, dir, "run")
	for _, c := range []struct {
		body string
		code int
		says string
	}{
		{`{"order_id": "a", "status": "purchased", "total": 1}`, 202, `"offset":`},
		{`{"order_id": "a", "status": "purchased"`, 400, "JSON"},
		{`{"order_id": "a", "status": "bought", "total": 1}`, 400, "status"},
		{`{"status": "purchased", "total": 1}`, 400, "order_id"},
		{`{"order_id": "a", "status": "purchased", "total": 1, "x": "` + strings.Repeat("x", 2<<20) + `"}`, 413, ""},
	} {
		code, text := post(t, ingest+"/orders", c.body)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("POST %.60s: %d %s, want %d with %q", c.body, code, text, c.code, c.says)
		}
	}
	if code, text := post(t, ingest+"/nowhere", "{}"); code != 404 {
		t.Errorf("unknown path: %d %s", code, text)
	}
	p.await("the order is finished", func() bool { return len(p.lines()) == 1 })
	health := "http://" + p.status().Health
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ready", "/metrics": `millrace_records_total{outcome="`} {
		response, err := http.Get(health + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %v, want %q in\n%s", path, response.StatusCode, err, want, text)
		}
	}
}

// A second terminal's commands find the running process; without one they open
// the folder themselves.
func TestSecondTerminal(t *testing.T) {
	t.Parallel()
	testSecondTerminal(t, bed{})
}

func testSecondTerminal(t *testing.T, b bed) {
	dir, _ := road(t, b)
	topic := b.name("order_invoices")
	p := start(t, dir, "run")
	check := func(want int, says string, args ...string) string {
		t.Helper()
		code, out, errs := millrace(t, dir, args...)
		if code != want || !strings.Contains(out+errs, says) {
			t.Fatalf("millrace %v: code %d, want %d with %q:\n%s%s", args, code, want, says, out, errs)
		}
		return out
	}
	check(0, "published 2 records", "publish", topic, `{"order_id":"a","status":"purchased","total":1}`, `{"order_id":"b","status":"created","total":2}`, "--key", "k", "-H", "h=1")
	p.await("the order is notified", func() bool { return len(p.lines()) == 1 })
	out := check(0, `"key":"k"`, "tail", topic, "--until-end", "--where", `payload.order_id == "a"`)
	if strings.Count(out, "\n") != 1 {
		t.Errorf("tail --where printed %q", out)
	}
	check(0, "invoice-notifications", "status")
	check(2, `did you mean "`+b.name("notifications")+`"`, "status", b.name("notification"))
	check(1, `did you mean "`+topic+`"`, "publish", b.name("order_invoice"), "x")
	if b.store == "" || b.store == "embedded" {
		check(1, fmt.Sprintf("pid %d", p.cmd.Process.Pid), "run")
	}
	check(0, "published 1 record", "publish", topic, "--tombstone", "--key", "k")
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	check(1, "nothing runs", "status")
	out = check(0, `"payload":null`, "tail", topic, "--until-end", "-n", "1")
	if strings.Count(out, "\n") != 1 {
		t.Errorf("tail -n 1 printed %q", out)
	}
	if _, err := os.Stat(filepath.Join(dir, ".millrace", "run")); err != nil {
		t.Error(err)
	}
}

// A run beside a broker uses it, and another client sees the same records.
func TestRunBesideBroker(t *testing.T) {
	t.Parallel()
	dir, ingest := road(t, bed{})
	broker := start(t, dir, "broker", "--listen", "127.0.0.1:0")
	p := start(t, dir, "run")
	if a, b := broker.status().Broker, p.status().Broker; a != b {
		t.Fatalf("the run uses %s, not %s", b, a)
	}
	send(t, ingest+"/orders", `{"order_id": "o-1", "status": "purchased", "total": 19.99}`)
	settle(p, 1, 1) // confirmed as well: a crash before that may repeat it
	p.kill()
	p = start(t, dir, "run")
	send(t, ingest+"/orders", `{"order_id": "o-1", "status": "purchased", "total": 19.99}`)
	settle(p, 1, 0)
	time.Sleep(100 * time.Millisecond)
	if lines := p.lines(); len(lines) != 0 {
		t.Errorf("notified again: %q", lines)
	}
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{p.status().Broker}}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if ends, err := a.EndOffsets(t.Context(), "order_invoices"); err != nil || len(ends["order_invoices"]) != 6 {
		t.Errorf("%v %v", ends, err)
	}
}
