package cmd

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A record has ended when all of its sinks are done with it: until then explain
// names those that it waits for, whatever the others did.
func TestExplainDoesNotClaimTooEarly(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]string{"keyed": "idempotency: {key: '${payload.id}'},", "unkeyed": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			address := fmt.Sprint("127.0.0.1:", freePort(t))
			write(t, dir, "pipelines.yaml", fmt.Sprintf(`version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
topics: {in: {partitions: 1}}
pipelines:
  p: {source: {topic: in}, %s sinks: [{stdout: {}}, {file: {dir: out, path: '${payload.bad}'}, when: payload.bad != nil}, {http: {url: 'http://%s/'}}], retry: {initial: 50ms, max: 200ms}}
`, guard, address))
			p := start(t, dir, "run")
			if code, out, errs := millrace(t, dir, "publish", "in", `{"id":"1","bad":"../x"}`); code != 0 {
				t.Fatal(out, errs)
			}
			ended := func() string {
				_, out, errs := millrace(t, dir, "explain", "--at", "in/0/0")
				for line := range strings.Lines(out) {
					if strings.HasPrefix(line, "ended") {
						return line
					}
				}
				t.Fatal(out, errs)
				return ""
			}
			p.await("it waits for http alone", func() bool { return len(p.lines()) == 1 && strings.Contains(p.log(), "sink http") })
			if line := ended(); !strings.HasPrefix(line, "ended       not_yet") || guard != "" && !strings.Contains(line, "waiting for http, while") {
				t.Errorf("it says: %s", line)
			}
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
			go server.Serve(listener)
			defer server.Close()
			p.await("it has ended", func() bool { return strings.HasPrefix(ended(), "ended       dead_lettered") })
		})
	}
}
