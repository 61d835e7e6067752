package cmd

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Many records in one compressed body, of who has the token, with a header that
// they take along; and no output shows the token.
func TestIngestDoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := fmt.Sprint("127.0.0.1:", freePort(t))
	write(t, dir, "token", "hunter2-of-the-shop\n")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
ingest:
  listen: %q
  auth: {bearer: '${file("token")}'}
  headers: [x-request-id]
  routes: [{path: /orders, topic: orders, key: payload.id, many: true}]
pipelines: {p: {source: {topic: orders}, filter: "false", sinks: [{stdout: {}}]}}
`, address))
	run := start(t, dir, "run")
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	fmt.Fprint(zip, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n")
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"": 401, "hunter2": 401, "hunter2-of-the-shop": 202} {
		req, err := http.NewRequest("POST", "http://"+address+"/orders", bytes.NewReader(body.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Encoding": "gzip", "Content-Type": "application/x-ndjson", "X-Request-Id": "r-1", "Idempotency-Key": "k"} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 202 && string(text) != "{\"topic\":\"orders\",\"records\":2}\n" {
			t.Errorf("with the token %q: %d %s, want %d", token, resp.StatusCode, text, want)
		}
	}
	_, records, said := millrace(t, dir, "tail", "orders", "-n", "10", "--until-end")
	for _, want := range []string{`"key":"a"`, `"key":"b"`, `"idempotency-key":"k#1"`, `"idempotency-key":"k#2"`, `"x-request-id":"r-1"`} {
		if !strings.Contains(records, want) {
			t.Errorf("%s is not in the records:\n%s%s", want, records, said)
		}
	}
	_, config, _ := millrace(t, dir, "config")
	_, status, _ := millrace(t, dir, "status")
	if all := records + config + status + run.log(); strings.Contains(all, "hunter2") {
		t.Errorf("the token is shown:\n%s", all)
	}
}
