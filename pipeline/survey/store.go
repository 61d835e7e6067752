package survey

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

const storePath = diag.Path("idempotency.store")

// store looks at the key store, where a pipeline needs one.
func (c *connector) store(ctx context.Context) {
	if !slices.ContainsFunc(c.plan.Pipelines, func(p *plan.Pipeline) bool { return p.Idempotency != nil }) {
		return
	}
	if c.plan.Store.Embedded {
		c.embeddedStore()
		return
	}
	f := c.with(storePath)
	at := func(code diag.Code, severity diag.Severity, message, hint string) {
		c.report(f, diag.Problem{Path: storePath, Code: code, Severity: severity, Message: message, Hint: hint})
	}
	seen, err := redis.Look(ctx, string(c.plan.Store.URL))
	if err != nil {
		at(diag.CodeStoreDown, diag.Error, "the key store can't be used: "+c.reason(err), "")
		return
	}
	eviction := &redis.EvictionError{Policy: seen.Policy}
	switch {
	case seen.ReadOnly:
		at(diag.CodeStoreSettings, diag.Error, fmt.Sprintf("the redis at %s is a replica, which takes no writes",
			seen.Address), "name the primary, or its sentinels")
	case seen.Policy == "":
		at(diag.CodeStoreSettings, diag.Warning, fmt.Sprintf("the redis at %s does not tell its maxmemory-policy",
			seen.Address), "make sure that it is noeviction")
	case seen.Policy != "noeviction" && !c.plan.Store.AllowEviction:
		at(diag.CodeStoreSettings, diag.Error, "the key store: "+eviction.Error(), "")
	}
	text := "redis at " + seen.Address
	if seen.Policy != "" {
		text += ", maxmemory-policy " + seen.Policy
	}
	c.note("idempotency.store", text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memories = func(mark string) bool { return !seen.Lacks(mark) }
}

// embeddedStore says who has the embedded store, or whether a run could make it.
func (c *connector) embeddedStore() {
	if run, ok := c.running(state.Keys); ok {
		c.note("idempotency.store", fmt.Sprintf("embedded, in use by process %d", run.PID))
		return
	}
	if c.plan.Embedded == "" {
		c.writable(c.with(storePath), storePath)
	}
	dir := filepath.Join(c.options.StateDir, string(state.Keys))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		c.note("idempotency.store", "embedded, in use by no process")
		return
	}
	c.note("idempotency.store", "embedded, not made yet")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memories = func(string) bool { return false }
}

// memory compares what the groups committed under with what the store has: after
// a loss a run would wait for a person.
func (c *connector) memory() {
	if c.memories == nil {
		return
	}
	for _, epoch := range slices.Sorted(maps.Keys(c.epochs)) {
		o := c.epochs[epoch]
		if c.memories(epoch) {
			continue
		}
		p := diag.Problem{Path: storePath, Code: diag.CodeStoreReset,
			Message: fmt.Sprintf("the key store has lost the keys that the group %q recorded: a run would wait for "+
				"`millrace keys accept-reset`", o.Plan.Source.Group),
			Hint: "name the store that the pipelines used before, or accept that effects may be repeated"}
		if c.plan.Store.OnReset == plan.ActionContinue {
			p.Severity = diag.Warning
			p.Message = fmt.Sprintf("the key store has lost the keys that the group %q recorded: effects may be "+
				"repeated, and a run goes on as on_store_reset says", o.Plan.Source.Group)
			p.Hint = ""
		}
		c.report(c.with(storePath), p)
		return
	}
}

// running is the process that runs an embedded part on the state folder.
func (c *connector) running(part state.Part) (state.Run, bool) {
	runs, err := state.Find(c.options.StateDir)
	if err != nil {
		c.options.Logger.Debug("running processes could not be looked for", "err", err)
	}
	i := slices.IndexFunc(runs, func(r state.Run) bool { return r.Has(part) })
	if i < 0 {
		return state.Run{}, false
	}
	return runs[i], true
}

// embedded tells whether an embedded broker runs, and takes it for the cluster.
// Where none does, it says whether one could.
func (c *connector) embedded(ctx context.Context) bool {
	path := diag.Path("kafka.embedded.listen")
	f := c.with(path)
	if run, ok := c.running(state.Broker); ok {
		c.settings.Brokers = []string{run.Broker}
		c.note("kafka", fmt.Sprintf("the embedded broker of process %d at %s", run.PID, run.Broker))
		return true
	}
	c.note("kafka", "the embedded broker does not run; `millrace run` starts it")
	c.writable(f, path)
	if _, port, err := net.SplitHostPort(c.plan.Embedded); err != nil || port == "0" {
		return false
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.plan.Embedded)
	if err != nil {
		return false
	}
	_ = conn.Close()
	c.report(f, diag.Problem{Path: path, Code: diag.CodeStateFolder,
		Message: fmt.Sprintf("another program listens on %s, where the embedded broker is to", c.plan.Embedded),
		Hint:    "stop it, or write kafka: {embedded: {listen: 127.0.0.1:0}} for a free port"})
	return false
}

// writable reports a state folder that a run could not use.
func (c *connector) writable(f *config.File, path diag.Path) {
	if err := state.Check(c.options.StateDir); err != nil {
		c.report(f, diag.Problem{Path: path, Code: diag.CodeStateFolder, Message: err.Error(),
			Hint: "name another with --state"})
	}
}
