package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Client talks to a running process through its control socket. It is safe for
// concurrent use.
type Client struct {
	http http.Client
}

// answerWithin is how long a process may take for one answer: it waits for brokers and
// stores for less.
const answerWithin = 10 * time.Second

// ResponseError is what the process answered instead of doing what was asked.
type ResponseError struct {
	// Code is the HTTP status.
	Code    int
	Message string
}

// Error is the process's own message.
func (e *ResponseError) Error() string { return e.Message }

// Dial returns a client of the process that listens on socket. It connects with
// the first request, so a process that is gone is found only then. A request that the
// process does not answer within ten seconds fails.
func Dial(socket string) *Client {
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Status asks how the process fares.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	if err := c.do(ctx, http.MethodGet, "/status", nil, &status); err != nil {
		return Status{}, fmt.Errorf("ask the running process for its status: %w", err)
	}
	return status, nil
}

// Keys are those of the process, which holds the key store. They end with the client.
func (c *Client) Keys() Keys { return remoteKeys{c} }

type remoteKeys struct{ c *Client }

func (k remoteKeys) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	var encoded [][]byte
	if err := k.c.do(ctx, http.MethodPost, "/keys/get", requestOf(ids), &encoded); err != nil {
		return nil, fmt.Errorf("look up keys in the running process: %w", err)
	}
	if len(encoded) != len(ids) {
		return nil, fmt.Errorf("look up keys in the running process: it answered for %d keys of %d", len(encoded),
			len(ids))
	}
	rows := make([]*idempotency.Row, len(ids))
	for i, text := range encoded {
		if text == nil {
			continue
		}
		var err error
		if rows[i], err = idempotency.Decode(text); err != nil {
			return nil, fmt.Errorf("look up keys in the running process: %w", err)
		}
	}
	return rows, nil
}

func (k remoteKeys) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	var were []bool
	if err := k.c.do(ctx, http.MethodPost, "/keys/delete", requestOf(ids), &were); err != nil {
		return nil, fmt.Errorf("delete keys in the running process: %w", err)
	}
	return were, nil
}

func (k remoteKeys) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	var answer keysListing
	err := k.c.do(ctx, http.MethodPost, "/keys/list", keysRequest{From: from, Most: most}, &answer)
	found := idempotency.Listing{Next: answer.Next, Bytes: answer.Bytes}
	for _, listed := range answer.Keys {
		if err == nil {
			var row *idempotency.Row
			row, err = idempotency.Decode(listed.Row)
			found.Keys = append(found.Keys, idempotency.Listed{External: listed.External, Row: row})
		}
	}
	if err != nil {
		return idempotency.Listing{}, fmt.Errorf("list the keys of the running process: %w", err)
	}
	return found, nil
}

func (k remoteKeys) AcceptReset(ctx context.Context) error {
	if err := k.c.do(ctx, http.MethodPost, "/keys/accept-reset", keysRequest{}, nil); err != nil {
		return fmt.Errorf("accept the reset in the running process: %w", err)
	}
	return nil
}

func requestOf(ids []idempotency.ID) keysRequest {
	var request keysRequest
	for i := range ids {
		request.IDs = append(request.IDs, ids[i][:])
	}
	return request
}

// do sends in as JSON, where it is not nil, and decodes the answer into out,
// where that is not nil. An answer other than 2xx is a *ResponseError. One that takes
// longer than answerWithin is none: a process that is stopped accepts and stays silent.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	limited, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := c.exchange(limited, method, path, in, out)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("it does not answer within %s: it is stopped (SIGSTOP), or has no time", answerWithin)
	}
	return err
}

func (c *Client) exchange(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	// The host is never looked up: every connection goes to the socket.
	request, err := http.NewRequestWithContext(ctx, method, "http://millrace"+prefix+path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		return responseError(response)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(out)
}

func responseError(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return err
	}
	var body errorBody
	if json.Unmarshal(text, &body) != nil || body.Error == "" {
		body.Error = response.Status + ": " + strings.TrimSpace(string(text))
	}
	return &ResponseError{Code: response.StatusCode, Message: body.Error}
}

// Close drops the client's connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
