package compile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// slipFiles have a secret wherever the language takes one, in blocks and in braces.
var slipFiles = []string{`version: 1
kafka:
  brokers: ['k:9092']
  sasl:
    mechanism: plain
    username: app
    password: Zq1lit-s3cret
ingest:
  listen: 127.0.0.1:8080
  auth:
    hmac:
      header: X-Sig
      secret: "Zq2lit-s3cret"
      encoding: hex
pipelines:
  p:
    source: {topic: orders}
    sinks:
      - http:
          url: http://localhost/
          headers:
            Authorization: Bearer Zq3lit-s3cret
            X-Api-Key: Zq4lit-s3cret
`, `version: 1
kafka: {brokers: ['k:9092'], sasl: {mechanism: plain, username: app, password: Zq1lit-s3cret}}
ingest: {listen: '127.0.0.1:8080', auth: {bearer: 'Zq2lit-s3cret'}}
pipelines:
  p: {source: {topic: orders}, sinks: [{http: {url: 'http://u:Zq3lit-s3cret@localhost/', query: {key: Zq4lit-s3cret}}}]}
`, `version: 1
pipelines:
  p:
    source: {topic: orders}
    transform:
      headers:
        authorization: '"Bearer Zq1lit-s3cret"'
        x-auth-token: '"Zq2lit-s3cret" + key'
    sinks:
      - kafka: {topic: out, headers: {authorization: Basic Zq3lit-s3cret, x-token: 'Zq4lit-s3cret'}}
`}

// stride is how far apart the bytes are at which slips are made: with 1 it takes minutes.
const stride = 7

// TestSlipsShowNoSecret makes slips at bytes all over a file, one at a time: whatever the file
// becomes, what is said of it shows no secret.
func TestSlipsShowNoSecret(t *testing.T) {
	registry := builtin.Registry()
	for i, file := range slipFiles {
		shown := 0
		for at := stride / 2; at < len(file); at += stride {
			if inSecret(file, at) || inWord(file, at, "key: Zq") || inWord(file, at, "X-Api-Key: ") || inWord(file, at, "x-auth-token: ") || inWord(file, at, "x-token: ") {
				continue // only the name that a user chose tells that these are secret
			}
			for _, slip := range []string{"", " ", ":", ",", "'", "\"", "{", "[", "}", "#", "x", "\n", "\n  "} {
				for _, cut := range []int{0, 1} {
					text := file[:at] + slip + file[at+cut:]
					options := config.Options{Stdin: strings.NewReader(text)}
					_, problems := compile.Load([]string{"-"}, options, registry)
					var out bytes.Buffer
					if err := diag.Write(&out, diag.FormatText, problems, false); err != nil {
						t.Fatal(err)
					}
					if strings.Contains(out.String(), "it-s3cre") {
						if shown++; shown <= 10 {
							t.Errorf("file %d with %q for %d at byte %d:\n%s", i, slip, cut, at, out.String())
						}
					}
				}
			}
		}
		if shown > 0 {
			t.Error(fmt.Sprint("in all: ", shown))
		}
	}
}

// inSecret tells whether a byte is one of a secret.
func inSecret(file string, at int) bool {
	for i := 1; i <= 4; i++ {
		if inWord(file, at, fmt.Sprintf("Zq%dlit-s3cret", i)) {
			return true
		}
	}
	return false
}

// inWord tells whether a byte is one of a text that stands in the file once.
func inWord(file string, at int, word string) bool {
	from := strings.Index(file, word)
	return from >= 0 && at >= from && at < from+len(word)
}
