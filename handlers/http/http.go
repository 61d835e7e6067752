// Package http is the sink that makes one HTTP call per record.
package http

import (
	"time"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file.
type Config struct {
	URL          handlers.Template            `yaml:"url" required:"true" place:"url" schemes:"http,https" doc:"Where to send each record, such as 'https://shop.example/orders/${payload.id}'. What '${ }' puts in is escaped for its place; a variable that begins the URL may hold scheme, host and path."`
	Method       string                       `yaml:"method" default:"POST" doc:"The method of the request, in capital letters. GET and HEAD send no body but one that 'body' writes."`
	Query        map[string]handlers.Template `yaml:"query" place:"query" doc:"Query parameters by name. They are escaped and added to those of the URL."`
	Headers      map[string]handlers.Template `yaml:"headers" place:"header" doc:"Headers to send, by name. Take secrets from a file or a variable: 'Authorization: Bearer ${file(\"/run/secrets/token\")}'."`
	Body         handlers.Template            `yaml:"body" place:"body" doc:"The body to send. Without it, the record's value is sent as it is. It is JSON where 'Content-Type' says so, or where no type is written and its own text has the form of JSON: what comes from the record is then escaped within quotes, and made a JSON value elsewhere."`
	Timeout      time.Duration                `yaml:"timeout" default:"5s" doc:"How long one call may take, from connecting to the end of the answer."`
	TLS          *handlers.TLS                `yaml:"tls" doc:"How to reach a receiver over https:// whose authority the system does not trust, or that asks for a client's certificate. The files are read again for each connection, so that they can be renewed while the process runs."`
	Tombstone    string                       `yaml:"tombstone" default:"send" enum:"send,delete,skip" doc:"What a tombstone (a record without a value) does: 'send' sends the body 'null', 'delete' calls the URL with the method DELETE, 'skip' makes no call."`
	AllowedHosts []string                     `yaml:"allowed_hosts" hosts:"true" doc:"The hosts that may be called where the host of the URL comes from the record: names, '*.example.com', addresses, or networks such as '10.0.0.0/8'. One may name a scheme and a port, as in 'https://*.example.com:8443': then no other is called. A network takes no port."`
}

const doc = "Makes one HTTP call per record. " +
	"The body is the record's value as it is after `transform`, with `Content-Type: application/json` where the " +
	"value is JSON and `application/octet-stream` otherwise; `body` and `headers` change both. " +
	"The header `Idempotency-Key` is always sent and is the same for every attempt and every replay of one effect, " +
	"so that a receiver that honours it sees each effect once. It is no secret: a receiver keeps keys apart by " +
	"who sent them, as an authenticated sender. " +
	"The trace context that a record came with, in its headers `traceparent` and `tracestate`, is sent on, where " +
	"`headers` writes none. " +
	"Redirects are not followed, and a proxy that the environment names is not used.\n\n" +
	"What is put into a URL by `${ }` is escaped for its place, also from `env` and `file(…)`, but where it begins " +
	"the URL. The host is written out, unless `allowed_hosts` lists the hosts that a record may name; even then " +
	"it may not lead to a private, loopback or link-local address that is not listed as well.\n\n" +
	"A `body` is JSON where `Content-Type` says so, or where no type is written and its own text has the form of " +
	"JSON; then it goes as `application/json`. " +
	"In `{\"to\": \"${payload.email}\", \"total\": ${payload.total}}` the first part stands within quotes, and is " +
	"escaped for them; the second becomes a JSON value, text with its quotes. " +
	"`${toJSON(…)}` outside of quotes stays as it is, and is the way to write null. What comes out is JSON, else the " +
	"record is `render_failed`. " +
	"`application/x-www-form-urlencoded` escapes each part, `application/x-ndjson` makes a JSON value of each line. " +
	"Any other body is text, sent as it renders: as `text/plain`, or as JSON where it came out as an object, a " +
	"list or a text in quotes."

const delivery = "A status from 200 to 299 acknowledges the record. There is one call per record; calls of different " +
	"lanes run at the same time, `concurrency.lanes` of them for each partition, and retries beside them.\n\n" +
	"- *Refused* (400, 422 and most other 4xx, any 3xx; an address that a record must not lead to): the record goes " +
	"to the dead letters at once.\n" +
	"- *Refused, it seems* (401 and 403 where a part of the URL comes from the record; connection refused, DNS or " +
	"TLS errors where the record names the host, or the port or scheme that was tried): the record goes to the " +
	"dead letters as well, its key free, but is tried again first until it is seen whether others are taken. " +
	"Five different records in a row that meet such are no longer the records' fault, but as *down*.\n" +
	"- *Unknown* (500, 408, 409, 425, a timeout, a lost connection): the same bytes are sent again, as `retry` says, " +
	"and then the record goes to the dead letters.\n" +
	"- *Down* (connection refused, DNS or TLS errors of a host that the configuration names, 429, 502, 503, 504; " +
	"401, 403, 404, 405, 407, 410 and 421 where no part of the URL comes from the record; and any 5xx or timeout " +
	"that five different records in a row met): the pipeline pauses and probes, and nothing goes to the dead " +
	"letters. A record that alone meets 502, 503 or 504, while all others are taken, is one that brings the " +
	"receiver down: it goes there in the end.\n\n" +
	"`Retry-After` is honoured."

const example = `http:
  url: http://localhost:3001/notifications/${payload.order_id}
  headers:
    X-Shop: ${payload.shop ?? "main"}
  timeout: 5s
`

// Spec describes the sink.
func Spec() handlers.Spec {
	spec := handlers.Define("http", doc, example, open)
	spec.Delivery = delivery
	return spec
}
