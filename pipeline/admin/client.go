package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Client talks to a running process through its control socket. It is safe for
// concurrent use.
type Client struct {
	http http.Client
}

// ResponseError is what the process answered instead of doing what was asked.
type ResponseError struct {
	// Code is the HTTP status.
	Code    int
	Message string
}

// Error is the process's own message.
func (e *ResponseError) Error() string { return e.Message }

// Dial returns a client of the process that listens on socket. It connects with
// the first request, so a process that is gone is found only then.
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
	if err := c.Do(ctx, http.MethodGet, "/status", nil, &status); err != nil {
		return Status{}, fmt.Errorf("ask the running process for its status: %w", err)
	}
	return status, nil
}

// CreateTopic makes a topic on the process's embedded broker and returns once it
// is durable; partitions 0 is the broker's default. A topic that exists is left
// as it is.
func (c *Client) CreateTopic(ctx context.Context, name string, partitions int32) error {
	if err := c.Do(ctx, http.MethodPost, "/topics", topicRequest{Name: name, Partitions: partitions}, nil); err != nil {
		return fmt.Errorf("create topic %q: %w", name, err)
	}
	return nil
}

// Do sends in as JSON, where it is not nil, and decodes the answer into out,
// where that is not nil. An answer other than 2xx is a *ResponseError.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	// The host is never looked up: every connection goes to the socket.
	request, err := http.NewRequestWithContext(ctx, method, "http://millrace"+path, body)
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
	text, err := io.ReadAll(io.LimitReader(response.Body, maxControlBody))
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
