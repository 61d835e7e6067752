package ingest

import (
	"encoding/json"
	"net/http"

	"github.com/millrace/millrace/handlers"
)

// answer is what a request is told.
type answer struct {
	status     int
	body       any
	allow      string
	retryAfter string
	// authenticate is how a client is to show that it may write, and encoding how
	// it may compress.
	authenticate, encoding string
	// close ends the connection, so that its client finds another server or
	// does not send the rest of a body.
	close bool
	// read tells that the body was read to its end.
	read bool
}

type place struct {
	Topic     string `json:"topic"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
}

// count is what a body of many records is told.
type count struct {
	Topic   string `json:"topic"`
	Records int    `json:"records"`
}

type refusal struct {
	Error string `json:"error"`
	// Record is which of Records is meant, from 1 on, where a body has several.
	Record  int `json:"record,omitempty"`
	Records int `json:"records,omitempty"`
	// Durable is how many records of the body are in the topic all the same.
	Durable int      `json:"durable,omitempty"`
	Reasons []reason `json:"reasons,omitempty"`
}

func refuse(status int, message string, reasons ...reason) *answer {
	return &answer{status: status, body: refusal{Error: message, Reasons: reasons}}
}

// of says which of several records is refused, from 0 on.
func (a *answer) of(i, records int) *answer {
	if body, ok := a.body.(refusal); ok && records > 1 {
		body.Record, body.Records = i+1, records
		a.body = body
	}
	return a
}

// accepted leaves out what the broker did not tell: a record that it had taken
// at an earlier attempt has no offset.
func accepted(record *handlers.Record) *answer {
	at := place{Topic: record.Topic}
	if record.Partition >= 0 {
		at.Partition = &record.Partition
	}
	if record.Offset >= 0 {
		at.Offset = &record.Offset
	}
	return &answer{status: http.StatusAccepted, body: at}
}

func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.allow != "" {
		header.Set("Allow", a.allow)
	}
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	if a.authenticate != "" {
		header.Set("WWW-Authenticate", a.authenticate)
	}
	if a.encoding != "" {
		header.Set("Accept-Encoding", a.encoding)
	}
	if a.close {
		header.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	// A client that is gone cannot be told.
	_ = json.NewEncoder(w).Encode(a.body)
}
