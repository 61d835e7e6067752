package ingest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/ingest"
)

// producer keeps what it is given, or does as told.
type producer struct {
	mu      sync.Mutex
	written []handlers.Record
	answer  func(ctx context.Context, r *handlers.Record) error
}

func (p *producer) Produce(ctx context.Context, records []*handlers.Record) error {
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	for _, r := range records {
		if answer != nil {
			if err := answer(ctx, r); err != nil {
				return err
			}
			continue
		}
		p.mu.Lock()
		r.Partition, r.Offset = 2, int64(len(p.written))
		p.written = append(p.written, *r)
		p.mu.Unlock()
	}
	return nil
}

func (p *producer) records() []handlers.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]handlers.Record(nil), p.written...)
}

func (p *producer) set(answer func(context.Context, *handlers.Record) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

const schemaText = `{
	"type": "object", "required": ["order_id"],
	"properties": {
		"order_id": {"type": "string", "pattern": "^o-"}, "total": {"type": "integer", "minimum": 1, "maximum": 9007199254740993},
		"lines": {"type": "array", "items": {"type": "object", "additionalProperties": false}}
	}
}`

// documents are schemas by their addresses.
type documents map[string]any

func (d documents) Load(address string) (any, error) {
	if document, ok := d[address]; ok {
		return document, nil
	}
	return nil, errors.New("no such document")
}

func documentsOf(t testing.TB, text string) documents {
	t.Helper()
	decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return documents{"file:///schema.json": decoded}
}

func schemaOf(t testing.TB, text string) *ingest.Schema {
	t.Helper()
	schema, err := ingest.NewSchema("file:///schema.json", documentsOf(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// plan has a route with key and schema, and one without either.
func plan(t *testing.T) *ingest.Plan {
	t.Helper()
	scope := expression.NewScope(expression.Options{Format: expression.FormatJSON, Request: true})
	key, findings := scope.Expression(`payload.order_id ?? headers["x-order"]`)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return &ingest.Plan{Listen: "127.0.0.1:0", Routes: []ingest.Route{
		{Path: "/orders", Topic: "orders", Scope: scope, Key: key, MaxBytes: 100},
		{Path: "/checked", Topic: "checked", Schema: schemaOf(t, schemaText)},
		{Path: "/plain", Topic: "plain", MaxBytes: 100},
	}}
}

func server(t *testing.T, p *producer, onRequest func(string, int)) *ingest.Server {
	t.Helper()
	return ingest.New(plan(t), p, ingest.Deps{Logger: slog.New(slog.DiscardHandler), OnRequest: onRequest})
}

// post sends a request, changed by change, to the server's handler.
func post(s http.Handler, path, body string, change func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func text(w *httptest.ResponseRecorder) string {
	body, _ := io.ReadAll(w.Result().Body)
	return strings.TrimSuffix(string(body), "\n")
}
