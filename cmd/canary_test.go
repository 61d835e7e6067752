package cmd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/state"
)

// canaries are secrets, each planted in a place of its own, and what is computed of
// them: none of it may be in any output of any command.
type canaries map[string]string

// plant makes the secret of a place: no other text holds any part of it.
func (c canaries) plant(place string) string {
	c[place] = fmt.Sprintf("Zq%02d<\"%sÿ&+/Kw%02d", len(c), strings.ToUpper(strings.Repeat(string(rune('g'+len(c)%16)), 6)), len(c))
	return c[place]
}

// word is plant for places that take no signs.
func (c canaries) word(place string) string {
	c[place] = fmt.Sprintf("Xw%02d%sVj%02d", len(c), strings.Repeat(string(rune('g'+len(c)%16)), 8), len(c))
	return c[place]
}

// find is where in text a secret stands, in any form in which it could.
func (c canaries) find(text string) []string {
	var found []string
	for place, secret := range c {
		inJSON, _ := json.Marshal(secret)
		var plain bytes.Buffer
		e := json.NewEncoder(&plain)
		e.SetEscapeHTML(false)
		_ = e.Encode(secret)
		quoted := strconv.Quote(secret)
		forms := []string{
			secret, strings.ToLower(secret), strings.ToUpper(secret), secret[4:], secret[:len(secret)-4],
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
			url.QueryEscape(secret), url.PathEscape(secret), quoted[1 : len(quoted)-1],
			string(inJSON[1 : len(inJSON)-1]), strings.Trim(plain.String(), "\"\n"),
		}
		for _, form := range forms {
			if at := strings.Index(text, form); at >= 0 {
				found = append(found, fmt.Sprintf("%s in …%s…", place, text[max(0, at-150):min(len(text), at+len(form)+50)]))
				break
			}
		}
	}
	return found
}

// check fails where an output holds a secret.
func (c canaries) check(t *testing.T, what, output string) {
	t.Helper()
	for _, found := range c.find(output) {
		t.Errorf("%s shows the secret of %s", what, found)
	}
}

// checkedCommand runs a command line within the test, and checks all that it says.
func (c canaries) checkedCommand(t *testing.T, stdin string, args ...string) (code int, output string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	code = run(ctx, args, strings.NewReader(stdin), &out, &errs)
	c.check(t, "millrace "+strings.Join(args, " "), out.String()+errs.String())
	return code, out.String() + errs.String()
}

// lookingCommands are command lines for every command that ends by itself, by their
// names: what they are given besides the configuration.
func lookingCommands(input string) map[string][][]string {
	return map[string][][]string{
		"validate": {
			{"validate"}, {"validate", "--format", "json"}, {"validate", "--format", "github"}, {"validate", "--format", "sarif"},
			{"validate", "--fix"}, {"validate", "--skip-env"}, {"validate", "--connect", "--timeout", "1s"},
		},
		"dead-letter": {
			{"dead-letter", "list", "p"}, {"dead-letter", "list", "p", "--format", "json"}, {"dead-letter", "show", "p", "0/0", "1/0", "2/0", "3/0", "4/0", "5/0"},
			{"dead-letter", "show", "p", "--format", "json", "0/0", "1/0", "2/0", "3/0", "4/0", "5/0"},
			{"dead-letter", "redrive", "p", "--all", "--dry-run"}, {"dead-letter", "redrive", "p", "--all", "--yes"},
			{"dead-letter", "discard", "p", "--where", "payload.id == 'none'", "--archive", "none.jsonl", "--yes"},
		},
		"replay": {
			{"replay", "p", "--from", "earliest", "--dry-run"}, {"replay", "p", "--from", "earliest", "--force", "--yes", "--format", "json"},
			{"replay", "p", "--from", "earliest", "--where", "payload.(", "--yes"},
		},
		"jobs":       {{"jobs", "list"}, {"jobs", "list", "--format", "json"}, {"jobs", "show", "none"}, {"jobs", "cancel", "none"}},
		"config":     {{"config"}, {"config", "--format", "json"}, {"config", "--skip-env"}},
		"graph":      {{"graph"}, {"graph", "--format", "dot"}},
		"test":       {{"test", "-v"}, {"test", "-v", "--format", "json"}, {"test", "--format", "junit"}},
		"dry-run":    {{"dry-run", "--input", input, "--no-store"}, {"dry-run", "--input", input, "--no-store", "--format", "json"}, {"dry-run", "-n", "5"}, {"dry-run", "-n", "5", "--format", "json"}},
		"explain":    {{"explain", "p", "--where", "true"}, {"explain", "p", "--where", "true", "--format", "json"}, {"explain", "p", "--at", "orders/0/0"}},
		"eval":       {{"eval", "--pipeline", "p", "--input", input, `payload.id`}, {"eval", "--pipeline", "p", `${env.API_TOKEN} ${toBase64(env.API_TOKEN)}`}, {"eval", `lower(file("token"))`}},
		"keys":       {{"keys", "get", "p", "k"}, {"keys", "get", "p", "k", "--format", "json"}, {"keys", "delete", "p", "k", "--yes"}, {"keys", "accept-reset", "--yes"}, {"keys", "list"}, {"keys", "list", "--format", "json"}, {"keys", "stats"}},
		"pause":      {{"pause", "p"}, {"status"}, {"resume", "p", "--format", "json"}},
		"resume":     {{"resume", "--all"}},
		"seek":       {{"seek", "p", "--to", "earliest", "--dry-run"}, {"seek", "p", "--to", "earliest", "--dry-run", "--format", "json"}, {"seek", "p", "--to", "latest", "--yes"}},
		"skip":       {{"skip", "p", "--at", "orders/0/0", "--archive", "nothing-stands-there.jsonl"}},
		"topics":     {{"topics"}, {"topics", "plan", "--format", "json"}, {"topics", "list"}, {"topics", "list", "--format", "json"}, {"topics", "apply", "--yes"}},
		"status":     {{"status"}, {"status", "--format", "json"}},
		"tail":       {{"tail", "p.dead-letter", "-n", "-1", "--until-end"}},
		"publish":    {{"publish", "orders", `{"id": "o-9"}`}},
		"handlers":   {{"handlers"}, {"handlers", "http"}, {"handlers", "--format", "json"}},
		"schema":     {{"schema"}},
		"version":    {{"version"}},
		"completion": {{"completion", "bash"}},
	}
}

// notLooking are the commands that run until they are told to end, or make a file
// where none may be.
var notLooking = []string{"run", "broker", "init", "help"}

func TestCanariesMeetEveryCommand(t *testing.T) {
	looking := lookingCommands("")
	for _, cmd := range (&app{program: program{registry: builtin.Registry()}, in: strings.NewReader(""), out: io.Discard, err: io.Discard}).root().Commands() {
		if _, ok := looking[cmd.Name()]; !ok && !slices.Contains(notLooking, cmd.Name()) && cmd.Name() != cobra.ShellCompRequestCmd {
			t.Errorf("no command line looks for secrets in what %q says", cmd.Name())
		}
	}
}

// canaryFile has a secret in every place that takes one. It is told the address of
// its receiver.
const canaryFile = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
server: {health: '127.0.0.1:%d'}
pipelines:
  p:
    source: {topic: orders}
    filter: payload.secret != file("token") and payload.other != upper(env.API_TOKEN)
    idempotency: {key: '${payload.id}-${file("token")}-${toBase64(env.DB_PASSWORD)}'}
    transform:
      payload:
        id: payload.id
        whole: file("token")
        small: lower(file("token"))
        coded: toBase64(file("token"))
        part: file("token")[4:]
        variable: env.DB_PASSWORD
        joined: '"<" + env.DB_PASSWORD + ">"'
        let: 'let t = file("token"); toBase64(t)'
      headers:
        auth: 'env.API_TOKEN'
        authorization: '"Bearer %[8]s"'
        x-api-key: 'payload.id == "o-2" ? string(int("%[9]s" + payload.id)) : "%[9]s"'
    sinks:
      - http:
          url: 'http://user:%[3]s@%[2]s/hook/%[4]s?sig=%[5]s&code=%[6]s'
          query: {key: '${env.API_TOKEN}', plain: '${file("token")}'}
          headers:
            Authorization: 'Bearer ${file("token")}'
            X-Functions-Key: %[7]s
            X-Auth: '${env.X_AUTH}'
            X-Computed: '${toBase64(file("token"))}'
      - {name: copies, kafka: {topic: copies, headers: {authorization: Basic %[10]s, x-api-key: '${payload.id == "o-1" ? string(int("%[11]s" + payload.id)) : "%[11]s"}'}}}
    retry: {attempts: 2, initial: 20ms, max: 50ms}
tests:
  - name: one
    pipeline: p
    records: [{payload: {id: o-1}}]
    expect: [{outcome: delivered}]
`

// TestNoOutputShowsASecret runs pipelines whose every place for a secret holds one,
// with a receiver that refuses, and looks at all that anybody is shown.
func TestNoOutputShowsASecret(t *testing.T) {
	t.Parallel()
	secrets := canaries{}
	refuse := make(chan int, 1)
	refuse <- http.StatusBadRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := <-refuse
		refuse <- code
		w.WriteHeader(code)
		// What a receiver says back may hold what it was sent.
		fmt.Fprint(w, r.Header, r.URL)
	}))
	t.Cleanup(server.Close)
	dir, healthPort := t.TempDir(), freePort(t)
	write(t, dir, "token", secrets.plant("file()")+"\n")
	write(t, dir, "secrets.env", fmt.Sprintf("API_TOKEN=%s\nDB_PASSWORD=%s\nX_AUTH=%s\n",
		secrets.plant("env.API_TOKEN"), secrets.plant("env.DB_PASSWORD"), secrets.plant("env.X_AUTH")))
	write(t, dir, "records.jsonl", `{"payload": {"id": "o-1"}}`+"\n"+`{"value": "no JSON"}`+"\n")
	file := fmt.Sprintf(canaryFile, healthPort, strings.TrimPrefix(server.URL, "http://"), secrets.word("the URL's password"),
		"plain-path", secrets.word("the query's sig"), secrets.word("the query's code"), secrets.word("X-Functions-Key"),
		secrets.word("a transform's authorization"), secrets.word("a transform's x-api-key"),
		secrets.word("the kafka sink's authorization"), secrets.word("the kafka sink's x-api-key"))
	write(t, dir, "pipelines.yaml", file)

	global := []string{"-f", filepath.Join(dir, "pipelines.yaml"), "--env-file", filepath.Join(dir, "secrets.env")}
	look := func() {
		t.Helper()
		for _, lines := range lookingCommands(filepath.Join(dir, "records.jsonl")) {
			for _, line := range lines {
				secrets.checkedCommand(t, "", append(line, global...)...)
			}
		}
	}
	if code, says := secrets.checkedCommand(t, "", append([]string{"validate"}, global...)...); code != exitDone {
		t.Fatalf("the file is no good: %s", says)
	}
	look()
	p := launch(t, dir, "run", "--log-level", "debug", "--env-file", "secrets.env")
	p.await("it is ready", func() bool { return strings.Contains(p.log(), `"msg":"ready"`) })
	for _, line := range [][]string{
		{"publish", "orders", `{"id": "o-1"}`, `{"id": "o-2"}`, `{"id": null}`, `no JSON`},
		{"publish", "orders", "--header", "Authorization=x", `{"id": {"a": 1}}`},
	} {
		if code, says := secrets.checkedCommand(t, "", append(line, global...)...); code != exitDone {
			t.Fatal(says)
		}
	}
	p.await("records are dead-lettered", func() bool { return p.status().Pipelines[0].Outcomes["dead_lettered"] >= 4 })
	broker := p.broker()
	for _, letter := range readAll(t, broker, "p.dead-letter") {
		for _, h := range letter.Headers {
			secrets.check(t, "the dead letter's header "+h.Key, string(h.Value))
		}
	}
	look()
	// A receiver that is away, and one whose name is none.
	server.Close()
	if code, says := secrets.checkedCommand(t, "", append([]string{"publish", "orders", `{"id": "o-3"}`}, global...)...); code != exitDone {
		t.Fatal(says)
	}
	p.await("the sink is paused", func() bool { return !p.status().Ready })
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		_, body := health(t, healthPort, path)
		secrets.check(t, path, body)
	}
	runs, err := state.Find(filepath.Join(dir, ".millrace"))
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	said := askSocket(t, runs[0].Socket, "/api/v1/status")
	if !strings.Contains(said, "connection refused") {
		t.Errorf("the control socket says no reason: %s", said)
	}
	secrets.check(t, "the control socket", said)
	look()
	p.stop()
	look()
	secrets.check(t, "run", p.log()+strings.Join(p.lines(), "\n"))
}

// TestWhatFailsShowsNoSecret has pipelines whose sinks fail with a secret in what they
// say: in the error headers of dead letters, in the reasons of a status, in the events
// that the log is made of.
func TestWhatFailsShowsNoSecret(t *testing.T) {
	t.Parallel()
	secrets := canaries{}
	dir, healthPort := t.TempDir(), freePort(t)
	folder, topic := secrets.word("a folder's name"), secrets.word("a topic's name")
	write(t, dir, "secrets.env", fmt.Sprintf("FOLDER_TOKEN=%s\nTOPIC_TOKEN=%s\n", folder, topic))
	write(t, dir, "folder/"+folder, "a file in the way")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
server: {health: '127.0.0.1:%d'}
pipelines:
  buried:
    source: {topic: in, group: buried}
    idempotency: {key: '${payload.id}'}
    sinks: [{file: {dir: folder, path: '${env.FOLDER_TOKEN}/${payload.id}.jsonl'}}]
  stands:
    source: {topic: in, group: stands}
    dead_letter: off
    sinks: [{file: {dir: folder, path: '${env.FOLDER_TOKEN}/${payload.id}.jsonl'}}]
  waits:
    source: {topic: in, group: waits}
    sinks: [{kafka: {topic: '${env.TOPIC_TOKEN}-${payload.id}', missing_topic: pause}}]
`, healthPort))
	p := launch(t, dir, "run", "--log-level", "debug", "--env-file", "secrets.env")
	global := []string{"-f", filepath.Join(dir, "pipelines.yaml"), "--env-file", filepath.Join(dir, "secrets.env")}
	p.await("it is ready", func() bool { return strings.Contains(p.log(), `"msg":"ready"`) })
	if code, says := secrets.checkedCommand(t, "", append([]string{"publish", "in", `{"id": "o-1"}`}, global...)...); code != exitDone {
		t.Fatal(says)
	}
	reasons := func() []string {
		var all []string
		for _, each := range p.status().Pipelines {
			all = append(all, each.Reasons...)
		}
		return all
	}
	p.await("two pipelines wait and one has a dead letter", func() bool {
		return len(reasons()) >= 2 && p.status().Pipelines[0].Outcomes["dead_lettered"] == 1
	})
	// Each of them was told a secret: where none stands in its place, nothing is tested.
	for _, reason := range reasons() {
		if !strings.Contains(reason, "[redacted]") {
			t.Errorf("no secret was in the reason %s", reason)
		}
	}
	letters := readAll(t, p.broker(), "buried.dead-letter")
	if said, _ := letters[0].Header("millrace-last-error"); !strings.Contains(string(said), "[redacted]") {
		t.Errorf("no secret was in the letter: %s", said)
	}
	for _, h := range letters[0].Headers {
		secrets.check(t, "the dead letter's header "+h.Key, string(h.Value))
	}
	if n := strings.Count(p.log(), "[redacted]"); n < 3 {
		t.Errorf("%d secrets were in the log", n)
	}
	for _, line := range [][]string{
		{"status"}, {"status", "--format", "json"}, {"explain", "buried", "--where", "true"}, {"explain", "stands", "--where", "true", "--format", "json"},
		{"keys", "get", "buried", "o-1"}, {"tail", "buried.dead-letter", "-n", "-1", "--until-end"}, {"eval", "--pipeline", "buried", "--at", "buried.dead-letter/0/0", "headers"},
	} {
		secrets.checkedCommand(t, "", append(line, global...)...)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		_, body := health(t, healthPort, path)
		secrets.check(t, path, body)
	}
	p.stop()
	secrets.check(t, "run", p.log()+strings.Join(p.lines(), "\n"))
}

// TestHealthShowsNoRecord has a record stop its pipeline by what it holds: /readyz,
// which may be read by anybody, says which sink waits, and the log why, and neither
// what the record holds.
func TestHealthShowsNoRecord(t *testing.T) {
	t.Parallel()
	for name, sink := range map[string]string{
		"file": `file: {dir: d, path: '${payload.x}.jsonl'}`,
		"http": `http: {url: 'http://${payload.x}/', allowed_hosts: [shop.test]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, port := t.TempDir(), freePort(t)
			write(t, dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
server: {health: '127.0.0.1:%d'}
pipelines: {p: {source: {topic: in}, dead_letter: off, sinks: [{%s}]}}
`, port, sink))
			p := start(t, dir, "run", "--log-level", "debug")
			if code, out, errs := millrace(t, dir, "publish", "in", `{"x": "-card-4111-1111"}`); code != exitDone {
				t.Fatal(out, errs)
			}
			p.await("it stands still", func() bool { return len(p.status().Pipelines[0].Reasons) > 0 })
			code, body := health(t, port, "/readyz")
			if code != http.StatusServiceUnavailable || body != "p: dead_letter: off\n" {
				t.Errorf("/readyz: %d %q", code, body)
			}
			if text := p.log() + strings.Join(p.status().Pipelines[0].Reasons, ""); strings.Contains(text, "card-4111") {
				t.Errorf("the record is in %s", text)
			}
		})
	}
}

// askSocket is what the control socket answers, whole.
func askSocket(t *testing.T, socket, path string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	response, err := client.Get("http://control" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
