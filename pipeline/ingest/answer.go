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
	// close ends the connection, so that its client finds another server or
	// does not send the rest of a body.
	close bool
}

type place struct {
	Topic     string `json:"topic"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
}

type refusal struct {
	Error   string   `json:"error"`
	Reasons []reason `json:"reasons,omitempty"`
}

// reason is one thing that is wrong with a record; Path is a JSON Pointer, empty
// for the record as a whole.
type reason struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

func refuse(status int, message string, reasons ...reason) *answer {
	return &answer{status: status, body: refusal{message, reasons}}
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
	if a.close {
		header.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	// A client that is gone cannot be told.
	_ = json.NewEncoder(w).Encode(a.body)
}
