package cmd

import (
	"context"
	"errors"
	"io"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/preview"
)

// keptKeys asks the sinks of keys that keep them themselves, by the sink's name. Only a
// sink that is opened tells whether it does: where its pipeline can't be read whole, or
// a sink of it not opened, none is asked.
func (a *app) keptKeys(ctx context.Context, named []namedKey) (_ map[string]*handlers.Kept, err error) {
	quiet := *a
	quiet.err = io.Discard
	part, err := quiet.loadPart(only("kafka", "idempotency"))
	if err != nil {
		return nil, nil
	}
	name := named[0].Pipeline
	chosen, err := choose(part.Plan, []string{name})
	if err != nil || len(compile.Of(part.Elsewhere, name)) > 0 || len(compile.Of(part.Unset, name)) > 0 {
		return nil, nil
	}
	log, err := a.clientLogger()
	if err != nil {
		return nil, err
	}
	p, err := preview.New(ctx, part.Plan, chosen, preview.Deps{Version: a.version(), Logger: log})
	if err != nil {
		return nil, nil
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	effects := map[string]idempotency.ID{}
	for i, id := range idsOf(named) {
		effects[named[i].Sink] = id
	}
	return p.Kept(ctx, 0, effects)
}
