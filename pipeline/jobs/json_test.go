package jobs

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/secrets"
)

// The names are what scripts read: they never change.
func TestLetterAsJSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := Letter{
		Letter: letters.Letter{
			Record: handlers.Record{Topic: "orders", Partition: 3, Offset: 12, Time: at, Key: []byte{0xff}, Headers: []handlers.Header{
				{Key: "Authorization", Value: []byte("Bearer x")}, {Key: "trace", Value: []byte("<t>")},
			}},
			TopicID: [16]byte{0xfb, 15: 1}, Missing: letters.Missing{Value: &letters.Part{Digest: "c", Bytes: 3}},
			Pipeline: "p", Sink: "s", Items: []int{3, 7}, Generation: 2, Key: "k", Stage: "write", Reason: "refused",
			FirstError: "boom", LastError: "bang hunter22", Attempts: 5, Round: 1, First: at, Last: at.Add(time.Second), ConfigDigest: "d",
		},
		ID: ID{1, 7}, Where: "in orders/3/12", Resolution: &letters.Resolution{How: letters.Delivered, Time: at, By: "ann", Job: "j"},
	}
	const want = `{"id":"1/7","pipeline":"p","sink":"s","items":[3,7],"stage":"write","reason":"refused","round":1,"attempts":5,` +
		`"first_time":"2026-01-02T03:04:05.000Z","last_time":"2026-01-02T03:04:06.000Z","first_error":"boom","last_error":"bang [redacted]",` +
		`"idempotency_key":"k","generation":2,"config_digest":"d","topic_id":"-wAAAAAAAAAAAAAAAAAAAQ",` +
		`"resolution":{"how":"delivered","time":"2026-01-02T03:04:05.000Z","by":"ann","job":"j"},` +
		`"missing":{"value":{"sha256":"c","bytes":3},"where":"in orders/3/12"},` +
		`"record":{"topic":"orders","partition":3,"offset":12,"timestamp":"2026-01-02T03:04:05.000Z","key_base64":"/w==",` +
		`"headers":{"Authorization":"[redacted]","trace":"<t>"},"payload":null}}`
	if got := string(l.AppendJSON(nil, secrets.New([]string{"hunter22"}, false))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bare := Letter{Letter: letters.Letter{Stage: "decode", Record: handlers.Record{Value: []byte(`{"a": 1.50}`)}}}
	got := bare.AppendJSON(nil, nil)
	if !json.Valid(got) || string(got) != `{"id":"0/0","pipeline":"","sink":null,"stage":"decode","reason":"","round":0,"attempts":0,"record":{"partition":0,"offset":0,"key":null,"headers":{},"payload":{"a": 1.50}}}` {
		t.Errorf("%s", got)
	}
}
