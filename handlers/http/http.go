// Package http is the sink that makes one HTTP call per record.
package http

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file.
type Config struct {
	URL          handlers.Template            `yaml:"url" required:"true" place:"url" doc:"Where to send each record. What depends on the record is escaped for its place."`
	Method       string                       `yaml:"method" default:"POST" doc:"The request's method."`
	Query        map[string]handlers.Template `yaml:"query" place:"name" doc:"Query parameters, added to those of the URL and escaped."`
	Headers      map[string]handlers.Template `yaml:"headers" place:"header" doc:"Headers to send."`
	Body         handlers.Template            `yaml:"body" doc:"The body to send; the record's value where this is missing."`
	Timeout      time.Duration                `yaml:"timeout" default:"5s" doc:"How long one call may take, from the connection to the end of the answer."`
	Tombstone    string                       `yaml:"tombstone" default:"send" enum:"send,delete,skip" doc:"What a record without a value does: send the body null, call the URL with DELETE, or nothing at all."`
	AllowedHosts []string                     `yaml:"allowed_hosts" doc:"The hosts that a URL may name whose host depends on the record: names, *.domains, addresses, or networks such as 10.0.0.0/8."`
}

const doc = "Makes one HTTP call per record. A status of 200 to 299 acknowledges it. " +
	"The header `Idempotency-Key` is always sent and is the same for every attempt and every replay of one effect: a receiver that honours it sees each effect once. " +
	"The body is the record's value, with `Content-Type: application/json` where that is JSON and `application/octet-stream` otherwise. " +
	"Redirects are not followed and the environment's proxy is not used.\n\n" +
	"A refusal of the record (400, 422, other 4xx, 3xx) dead-letters it at once. An answer that leaves open what happened (500, 408, 409, 425, a timeout, a lost connection) is tried again with the same bytes, as `retry` says. " +
	"A receiver that is down or does not want calls now (connection refused, TLS or DNS errors, 429, 502, 503, 504, and 401, 403, 404, 405, 407, 410, 421 where the URL has no parts of the record) pauses the pipeline and dead-letters nothing. `Retry-After` is honoured.\n\n" +
	"A host that depends on the record needs `allowed_hosts`; it may then not lead to a private, loopback or link-local address unless that is listed too."

const example = `http:
  url: http://localhost:3001/notifications/${payload.order_id}
  headers:
    Authorization: Bearer ${file("/run/secrets/token")}
  timeout: 5s
`

// Spec describes the sink.
func Spec() handlers.Spec {
	return handlers.Define("http", doc, example, open)
}
