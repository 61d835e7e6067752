package handlertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
)

// table is a sink that does all that the contract offers, on a system in memory: it
// writes batches across lanes, keeps its own keys, and hands traces on.
type table struct {
	config  tableConfig
	batches *handlers.Coalescer

	mu      sync.Mutex
	rows    []handlers.Call
	keys    map[[32]byte]*handlers.Kept
	refused string
	hung    chan struct{}
	down    bool
}

type tableConfig struct {
	Statement handlers.Template `yaml:"statement" required:"true" place:"bound" doc:"The statement."`
	TLS       *handlers.TLS     `yaml:"tls" doc:"How to reach it."`
}

type row struct {
	Statement []string `json:"statement"`
	Values    []any    `json:"values"`
	view      handlers.View
}

// Show is the first value that is bound.
func (r *row) Show() string { return r.Values[0].(string) }

func newTable(config tableConfig, _ handlers.Env) (handlers.Sink, error) {
	s := &table{config: config, keys: map[[32]byte]*handlers.Kept{}}
	s.batches = handlers.Coalesce(s.insert, handlers.Batch{Count: 3})
	return s, nil
}

func (s *table) Render(view handlers.View) (any, error) {
	r := &row{view: view.Defer()}
	var err error
	if r.Statement, r.Values, err = view.Parts(s.config.Statement); err != nil {
		return nil, err
	}
	if len(r.Statement) != len(r.Values)+1 {
		return nil, errors.New("a part is missing")
	}
	return r, nil
}

func (s *table) Write(ctx context.Context, batch []handlers.Call) error {
	return s.batches.Write(ctx, batch)
}

func (s *table) insert(ctx context.Context, batch []handlers.Call) error {
	s.mu.Lock()
	hung := s.hung
	s.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return handlers.Each(func(_ context.Context, c *handlers.Call) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		value := string(c.Request.(*row).view.Record().Value)
		switch {
		case value == s.refused:
			return handlers.Permanent(errors.New("refused"))
		case s.keys[c.Identity.ID] != nil:
			c.Repeated = true
			return nil
		}
		now := time.Now()
		s.keys[c.Identity.ID] = &handlers.Kept{Digest: c.Identity.Digest, At: now, Expires: now.Add(c.Identity.TTL)}
		s.rows = append(s.rows, *c)
		return nil
	})(ctx, batch)
}

func (s *table) Close(ctx context.Context) error { return s.batches.Close(ctx) }

func (s *table) Probe(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("it is down")
	}
	return ctx.Err()
}

func (s *table) Kept(_ context.Context, ids [][32]byte) ([]*handlers.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*handlers.Kept, len(ids))
	for i, id := range ids {
		all[i] = s.keys[id]
	}
	return all, nil
}

func (s *table) Forget(_ context.Context, ids [][32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.keys, id)
	}
	return nil
}

func (s *table) each(show func(*handlers.Call) string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for i := range s.rows {
		all = append(all, show(&s.rows[i]))
	}
	return all
}

func (s *table) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// The suite takes a sink that keeps the whole contract.
func TestConformance(t *testing.T) {
	spec := handlers.Define("table", "Writes rows.", "table:\n  statement: insert into t values (${key})\n", newTable)
	statement := handlertest.Statement([]string{"insert into t values (", ")"}, func(r *handlers.Record) (any, error) {
		if r.Key == nil {
			return nil, errors.New("key is null")
		}
		return string(r.Key), nil
	})
	handlertest.Run(t, spec, handlertest.Harness{
		Batches: true,
		Open: func(t *testing.T) handlertest.Fixture {
			sink, err := spec.Open(&tableConfig{Statement: statement}, handlers.Env{})
			if err != nil {
				t.Fatal(err)
			}
			s := sink.(*table)
			return handlertest.Fixture{
				Sink: sink, Remembers: true,
				Effects: func() []string {
					return s.each(func(c *handlers.Call) string { return string(c.Record.Value) })
				},
				Traces: func() []string {
					return s.each(func(c *handlers.Call) string { return c.Trace.Parent })
				},
				Refuse: func(value string) func() {
					s.set(func() { s.refused = value })
					return func() { s.set(func() { s.refused = "" }) }
				},
				Hang: func() func() {
					hung := make(chan struct{})
					s.set(func() { s.hung = hung })
					return func() { close(hung) }
				},
				Down: func() { s.set(func() { s.down = true }) },
			}
		},
	})
}

// What handlertest makes of templates is what sinks can rely on.
func TestPartsOfTemplates(t *testing.T) {
	view := handlertest.View{Of: &handlers.Record{Key: []byte("k")}}
	for name, c := range map[string]struct {
		template handlers.Template
		want     string
	}{
		"constant": {handlertest.Constant("x"), `[["x"],null]`},
		"key":      {handlertest.Key("a:"), `[["a:",""],["k"]]`},
		"nothing":  {handlers.Template{}, `[[""],null]`},
		"statement": {handlertest.Statement([]string{"a ", ""}, func(*handlers.Record) (any, error) { return nil, nil }),
			`[["a ",""],[null]]`},
	} {
		literals, values, err := view.Parts(c.template)
		if got, _ := json.Marshal([]any{literals, values}); err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}
