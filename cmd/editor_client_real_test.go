//go:build real

package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/nodejs"
)

// editor speaks the language server protocol, as an editor does, with the YAML
// language server that VS Code and others run.
type editor struct {
	t      *testing.T
	in     io.WriteCloser
	stderr bytes.Buffer
	ended  chan struct{}

	mu       sync.Mutex
	next     int
	answers  map[int]chan json.RawMessage
	findings map[string]chan []finding
}

// finding is a diagnostic; lines and columns count from 0.
type finding struct {
	Message string
	Range   struct{ Start, End position }
}

type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

type message struct {
	ID     *int            `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// openEditor starts the language server; it ends with the test.
func openEditor(t *testing.T) *editor {
	t.Helper()
	cmd := nodejs.Need(t, filepath.Join("node_modules", "yaml-language-server", "bin", "yaml-language-server"), "--stdio")
	e := &editor{t: t, ended: make(chan struct{}), answers: map[int]chan json.RawMessage{}, findings: map[string]chan []finding{}}
	var err error
	if e.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &e.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(e.ended); e.read(bufio.NewReader(out)) }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Log(err)
		}
		<-e.ended
		if err := cmd.Wait(); err == nil {
			t.Error("the language server ended by itself")
		}
		if t.Failed() {
			t.Logf("the language server said:\n%s", tailOf(e.stderr.String()))
		}
	})
	e.call("initialize", map[string]any{
		"processId": os.Getpid(), "rootUri": nil,
		"capabilities": map[string]any{
			"workspace": map[string]any{"configuration": true},
			"textDocument": map[string]any{
				"completion": map[string]any{"completionItem": map[string]any{"documentationFormat": []string{"markdown"}}},
				"hover":      map[string]any{"contentFormat": []string{"markdown"}},
			},
		},
	})
	e.tell("initialized", map[string]any{})
	return e
}

// read hands out what the server sends until it ends.
func (e *editor) read(in *bufio.Reader) {
	for {
		header, err := textproto.NewReader(in).ReadMIMEHeader()
		if err != nil {
			return
		}
		size, err := strconv.Atoi(header.Get("Content-Length"))
		if err != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil {
			return
		}
		e.handle(m)
	}
}

func (e *editor) handle(m message) {
	switch {
	case m.Method == "workspace/configuration":
		e.send(message{ID: m.ID, Result: answerConfiguration(m.Params)})
	case m.Method != "" && m.ID != nil:
		e.send(message{ID: m.ID, Result: json.RawMessage("null")})
	case m.Method == "textDocument/publishDiagnostics":
		var p struct {
			URI         string
			Diagnostics []finding
		}
		if json.Unmarshal(m.Params, &p) == nil {
			e.found(p.URI) <- p.Diagnostics
		}
	case m.ID != nil:
		e.mu.Lock()
		answer := e.answers[*m.ID]
		e.mu.Unlock()
		if m.Error != nil {
			m.Result = m.Error
		}
		answer <- m.Result
	}
}

// answerConfiguration gives the settings of each section that is asked for.
func answerConfiguration(params json.RawMessage) json.RawMessage {
	var asked struct{ Items []struct{ Section string } }
	if err := json.Unmarshal(params, &asked); err != nil {
		return json.RawMessage("[]")
	}
	var all []any
	for _, item := range asked.Items {
		switch item.Section {
		case "yaml":
			all = append(all, map[string]any{"validate": true, "hover": true, "completion": true,
				"schemaStore": map[string]any{"enable": false, "url": ""}})
		default:
			all = append(all, map[string]any{})
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return json.RawMessage("[]")
	}
	return text
}

func (e *editor) found(uri string) chan []finding {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.findings[uri] == nil {
		e.findings[uri] = make(chan []finding, 100)
	}
	return e.findings[uri]
}

func (e *editor) send(m message) {
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		message
	}{"2.0", m})
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	// The server may be gone already: whoever waits for an answer notices.
	_, _ = fmt.Fprintf(e.in, "Content-Length: %d\r\n\r\n%s", len(body), body)
}

func (e *editor) params(value any) json.RawMessage {
	e.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		e.t.Fatal(err)
	}
	return text
}

func (e *editor) tell(method string, params any) {
	e.t.Helper()
	e.send(message{Method: method, Params: e.params(params)})
}

func (e *editor) call(method string, params any) json.RawMessage {
	e.t.Helper()
	e.mu.Lock()
	e.next++
	id, answer := e.next, make(chan json.RawMessage, 1)
	e.answers[id] = answer
	e.mu.Unlock()
	e.send(message{ID: &id, Method: method, Params: e.params(params)})
	return await(e, method, answer)
}

func await[T any](e *editor, what string, from chan T) T {
	e.t.Helper()
	select {
	case got := <-from:
		return got
	case <-e.ended:
		e.t.Fatalf("the language server ended while waiting for %s", what)
	case <-time.After(time.Minute):
		e.t.Fatalf("waited a minute for %s", what)
	}
	panic("not reached")
}

// open shows a file to the server and returns what it finds.
func (e *editor) open(path string) (uri, text string, findings []finding) {
	e.t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		e.t.Fatal(err)
	}
	content, err := os.ReadFile(absolute)
	if err != nil {
		e.t.Fatal(err)
	}
	uri, text = (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}).String(), string(content)
	found := e.found(uri)
	e.tell("textDocument/didOpen", map[string]any{"textDocument": map[string]any{
		"uri": uri, "languageId": "yaml", "version": 1, "text": text,
	}})
	return uri, text, await(e, "the findings of "+path, found)
}

// at is the position behind the first occurrence of a text.
func at(text, behind string) map[string]any {
	before, _, _ := strings.Cut(text, behind)
	before += behind
	line := strings.Count(before, "\n")
	return map[string]any{"line": line, "character": len(before) - strings.LastIndex(before, "\n") - 1}
}
