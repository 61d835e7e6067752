package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/millrace/millrace/handlers"
)

const (
	// manyBodies is how many times the largest record a body of many may have,
	// and maxRecords how many records.
	manyBodies = 8
	maxRecords = 10_000
)

// records are those of a body: one, or each line or item of a route that takes
// many.
func (r *route) records(req *http.Request, body []byte) ([]*handlers.Record, *answer) {
	values, a := [][]byte{body}, (*answer)(nil)
	switch {
	case !r.Many:
	case isLines(req.Header.Values("Content-Type")):
		values, a = lines(body)
	case bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")):
		values, a = items(body)
	}
	if a != nil {
		return nil, a
	}
	if len(values) == 0 {
		return nil, refuse(http.StatusBadRequest, "there is no record in the body")
	}
	headers, a := r.carried(req)
	if a != nil {
		return nil, a
	}
	records := make([]*handlers.Record, len(values))
	for i, value := range values {
		records[i] = &handlers.Record{Topic: r.Topic, Partition: -1, Offset: -1, Value: value, Headers: headers}
		if int64(len(value)) > r.MaxBytes {
			a := refuse(http.StatusRequestEntityTooLarge,
				fmt.Sprintf("the record is larger than %d bytes, which is ingest.max_record_bytes", r.MaxBytes))
			return nil, a.of(i, len(values))
		}
		if key := req.Header.Get("Idempotency-Key"); key != "" {
			if r.Many {
				// Each record is an effect of its own.
				key += "#" + strconv.Itoa(i+1)
			}
			records[i].Headers = append([]handlers.Header{{Key: "idempotency-key", Value: []byte(key)}}, headers...)
		}
	}
	return records, nil
}

// lines are the lines that are not blank.
func lines(body []byte) (values [][]byte, a *answer) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if values = append(values, line); len(values) > maxRecords {
			return nil, tooMany()
		}
	}
	return values, nil
}

// items are the items of a JSON array, as parts of the body.
func items(body []byte) (values [][]byte, a *answer) {
	broken := func(err error) *answer {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return refuse(http.StatusBadRequest, "the body is not JSON", newReason(nil, err.Error()))
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		return nil, broken(err)
	}
	for value := (json.RawMessage{}); decoder.More(); {
		if err := decoder.Decode(&value); err != nil {
			return nil, broken(err)
		}
		end := int(decoder.InputOffset())
		if values = append(values, body[end-len(value):end]); len(values) > maxRecords {
			return nil, tooMany()
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, broken(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, broken(errors.New("there is more after the array"))
	}
	return values, nil
}

func tooMany() *answer {
	return refuse(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("there are more than %d records in the body: send fewer at once", maxRecords))
}

// maxBody is how large a body of the route may be, without its compression.
func (r *route) maxBody() int64 {
	if r.Many {
		return manyBodies * r.MaxBytes
	}
	return r.MaxBytes
}

// carried are the request's headers that its records take along.
func (r *route) carried(req *http.Request) (headers []handlers.Header, a *answer) {
	size := 0
	for _, name := range r.Headers {
		for _, value := range req.Header.Values(name) {
			size += len(name) + len(value)
			headers = append(headers, handlers.Header{Key: name, Value: []byte(value)})
		}
	}
	if size > maxCarried {
		return nil, refuse(http.StatusRequestHeaderFieldsTooLarge,
			fmt.Sprintf("the headers that a record takes along are larger than %d bytes together", maxCarried))
	}
	return headers, nil
}
