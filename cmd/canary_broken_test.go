package cmd

import (
	"fmt"
	"path/filepath"
	"testing"
)

// brokenFiles are files that are wrong near a secret, which stands where %s does.
var brokenFiles = map[string]string{
	"an open quote": `kafka:
  brokers: [a:1]
  sasl: {mechanism: plain, username: u, password: "%s}
`,
	"an open bracket": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password: %s
pipelines: {p: {source: {topic: orders}, sinks: [{stdout: {}}]}}
`,
	"a block of lines": `kafka:
  sasl:
    password: |
      %s
	mechanism: plain
`,
	"a folded value": `kafka:
  sasl:
    password:
      %s
   mechanism: plain
`,
	"a second colon": `idempotency:
  store: redis://u:%s@host:6379/0: x
`,
	"a header": `pipelines:
  p:
    source: {topic: orders}
    sinks:
      - http:
          url: http://h/x
          headers:
            Authorization: Bearer %s: x
            X-Ok: [
`,
	"query parameters": `pipelines:
  p:
    sinks:
      - http: {url: 'http://h/x', query: {key: %s, code: [}}
`,
	"a query in a URL": `pipelines:
  p:
    sinks:
      - http: {url: "http://h/x?sig=%s", method: 'POST}
`,
	"a key twice": `kafka:
  sasl: {password: %[1]s, password: %[1]s, mechanism: plan}
`,
	"an almost right key": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, pasword: %s, passwrd: [%[1]s]}}
`,
	"a default": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password: '${env.NONE ?? "%s"}', x: 1}}
`,
	"a default in an open quote": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password: '${env.NONE ?? "%s"}, x: 1}}
`,
	"another type": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password: {x: %s}}}
`,
	"no colon": `kafka:
  brokers: [a:1]
  sasl:
    mechanism: plain
    password %s
`,
	"no colon, and a misspelt key": `kafka:
  sasl:
    mechanism: plain
    secrt %s
    username: u
`,
	"no colon in braces": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password %s}}
`,
	"no colon of an unknown key in braces": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, pwrd %s}}
`,
	"no colon of a header": `pipelines:
  p:
    source: {topic: orders}
    sinks:
      - http: {url: 'http://h/x', headers: {Authorization Bearer %s}}
      - http:
          url: http://h/y
          headers:
            Authorization Bearer %[1]s
`,
	"no colon of a header in a block": `pipelines:
  p:
    sinks:
      - http:
          url: http://h/x
          headers:
            X-Ok: a
            Authorization Bearer %s
`,
	"an open brace": `kafka:
  sasl: {mechanism: plain, %s
  tls: {}
`,
	"braces of several lines": `kafka: {
  brokers: [a:1],
  sasl: {
    mechanism: plain, creds %s,
  tls: }
`,
	"a misspelt key": `ingest: {listen: '127.0.0.1:0', auth: {baerer: %s}, routes: []}
`,
	"a misspelt key of lines": `ingest:
  listen: 127.0.0.1:0
  auth:
    baerer: |
      a line
      %s
  routes: [
`,
	"a scalar in place of a map": `ingest:
  listen: 127.0.0.1:0
  auth:
    hmac: %s
`,
	"a list in place of a map": `kafka: {sasl: [plain, u, %s]}
`,
	"a scalar in place of everything": `%s
`,
	"a key with dots": `kafka:
  brokers: ['127.0.0.1:1']
  sasl.pass: %s
`,
	"an unknown block": `kafka:
  brokers: ['127.0.0.1:1']
  login: {user: u, pin: %s, more: [{x: %[1]s}]}
`,
	"an unknown sink": `pipelines:
  p:
    source: {topic: orders}
    sinks: [{webhook: {url: 'http://h/x', auth: %s, creds: %[1]s}}]
`,
	"two handlers": `pipelines:
  p:
    source: {topic: orders}
    sinks: [{stdout: {}, http: {url: 'http://h/x', creds: %s}}]
`,
	"an unknown key twice": `kafka: {brokers: ['127.0.0.1:1'], creds: %s, creds: %[1]s}
`,
	"a map as a key": `kafka: {brokers: ['127.0.0.1:1'], ? {creds: %s} : x}
`,
	"a merge of a text": `kafka: {brokers: ['127.0.0.1:1'], <<: %s}
`,
	"a reference": `kafka: {brokers: ['127.0.0.1:1'], sasl: {mechanism: plain, username: u, password: *%s}}
`,
	"a tag": `ingest: {listen: '127.0.0.1:0', auth: {bearer: !%s}, routes: []}
`,
	"a comment": `kafka: {brokers: ['127.0.0.1:1'], x: 1} # password: %s
`,
	"a store's setting": `kafka: {brokers: ['127.0.0.1:1']}
idempotency: {store: 'redis://h:1/0?pasword=%s&what=%[1]s'}
pipelines: {p: {source: {topic: orders}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}
`,
	"a store that is none": `kafka: {brokers: ['127.0.0.1:1']}
idempotency: {store: "reddis://:%s@h/0?x"}
pipelines: {p: {source: {topic: orders}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}}
`,
}

// brokenVariables are files that take a secret variable where something else must
// be.
var brokenVariables = []string{
	"topics: {orders: {partitions: '${env.AWS_SECRET_ACCESS_KEY}'}}",
	"topics: {orders: {partitions: '${env.PLAIN}'}}",
	"drain: ${env.AWS_SECRET_ACCESS_KEY}",
	"drain: ${env.PLAIN}",
	"drain: ${lower(env.PLAIN)}",
	"kafka: {brokers: ['${env.AWS_SECRET_ACCESS_KEY}/x y']}",
	"idempotency: {store: '${env.AWS_SECRET_ACCESS_KEY}'}",
	"server: {health: '${env.AWS_SECRET_ACCESS_KEY}'}",
	"pipelines: {p: {source: {topic: '${env.AWS_SECRET_ACCESS_KEY} x'}, sinks: [{stdout: {}}]}}",
	"pipelines: {p: {source: {topic: orders, format: '${env.PLAIN}'}, sinks: [{stdout: {}}]}}",
	"pipelines: {p: {source: {topic: orders}, sinks: [{http: {url: 'http://h:${env.AWS_SECRET_ACCESS_KEY}/x'}}]}}",
	"pipelines: {p: {source: {topic: orders}, sinks: [{http: {url: '${env.AWS_SECRET_ACCESS_KEY}/x'}}]}}",
	"pipelines: {p: {source: {topic: orders}, sinks: [{kafka: {topic: '${env.AWS_SECRET_ACCESS_KEY} x'}}]}}",
	"pipelines: {p: {source: {topic: orders}, filter: 'payload.x matches env.AWS_SECRET_ACCESS_KEY + \"(\"', sinks: [{stdout: {}}]}}",
	"pipelines: {p: {source: {topic: orders}, filter: 'env.AWS_SECRET_ACCESS_KEY', sinks: [{stdout: {}}]}}",
	"pipelines: {p: {source: {topic: orders}, filter: 'duration(env.AWS_SECRET_ACCESS_KEY) == nil', sinks: [{stdout: {}}]}}",
	"pipelines: {p: {source: {topic: orders}, filter: 'int(env.AWS_SECRET_ACCESS_KEY) == 1', sinks: [{stdout: {}}]}}",
}

// TestNoProblemShowsASecret has every command meet files that are wrong where a
// secret stands, in whatever state they are.
func TestNoProblemShowsASecret(t *testing.T) {
	t.Parallel()
	// Those that ask no cluster: what the others say of a file is the same.
	offline := map[string]bool{"validate": true, "config": true, "graph": true, "test": true, "eval": true}
	try := func(t *testing.T, secrets canaries, dir, text string) {
		t.Helper()
		write(t, dir, "pipelines.yaml", text)
		write(t, dir, "records.jsonl", `{"payload": {"id": "o-1"}}`+"\n")
		global := []string{"-f", filepath.Join(dir, "pipelines.yaml"), "--env-file", filepath.Join(dir, "secrets.env")}
		lines := [][]string{
			{"dry-run", "--input", filepath.Join(dir, "records.jsonl"), "--no-store"}, {"keys", "get", "p", "k"}, {"topics", "plan"}, {"topics", "list"},
			{"run", "--log-level", "debug"}, {"broker", "--listen", "127.0.0.1:0"},
		}
		for name, of := range lookingCommands(filepath.Join(dir, "records.jsonl")) {
			if offline[name] {
				lines = append(lines, of...)
			}
		}
		for _, line := range lines {
			secrets.checkedCommand(t, "", append(line, global...)...)
		}
		if code, says := secrets.checkedCommand(t, text, "validate", "-f", "-", "--env-file", filepath.Join(dir, "secrets.env")); code != exitInvalid {
			t.Errorf("it is no broken file: %d %s", code, says)
		}
	}
	for name, text := range brokenFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets, dir := canaries{}, t.TempDir()
			write(t, dir, "secrets.env", "")
			try(t, secrets, dir, fmt.Sprintf(text, secrets.word(name)))
		})
	}
	for _, text := range brokenVariables {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			secrets, dir := canaries{}, t.TempDir()
			write(t, dir, "secrets.env", fmt.Sprintf("AWS_SECRET_ACCESS_KEY=%s\nPLAIN=%s\n", secrets.word("the secret variable"), secrets.word("the variable")))
			try(t, secrets, dir, text+"\n")
		})
	}
}
