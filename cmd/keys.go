package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// keysFlags are those of `millrace keys`.
type keysFlags struct {
	sink       string
	generation int
	format     string
	yes        bool
	pid        int
	exitCode   bool
}

func (a *app) keysCommand() *cobra.Command {
	var f keysFlags
	keys := &cobra.Command{
		Use: "keys", Short: "Look at, or forget, idempotency keys",
		Long: `Keys looks at the idempotency keys in the store that the configuration names:
Redis itself, or the embedded store, through the process that holds it or, when
none runs, by opening its folder.`,
		Args: knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("keys takes get, delete, list, stats or accept-reset")}
		},
	}
	keys.PersistentFlags().IntVar(&f.pid, "pid", 0, "which process, where several run")
	get := &cobra.Command{
		Use: "get PIPELINE KEY", Short: "Show who claimed a key, when, from which record, and when it was confirmed",
		Example: "  millrace keys get invoice-notifications notification:invoices:o-1",
		Args:    pipelineAndKey,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.keysGet(cmd.Context(), args[0], args[1], f) },
	}
	formatFlag(get, &f.format)
	exitCodeFlag(get, &f.exitCode, "a sink's key is not there")
	remove := &cobra.Command{
		Use: "delete PIPELINE KEY", Short: "Forget a key, so that its effect can happen again",
		Long: `Delete makes the store forget a key: the next record with it is delivered, also
where its effect has happened before. It asks first.`,
		Example: "  millrace keys delete invoice-notifications notification:invoices:o-1 --sink http",
		Args:    pipelineAndKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.keysDelete(cmd.Context(), args[0], args[1], f)
		},
	}
	accept := &cobra.Command{
		Use: "accept-reset", Short: "Go on with a store that lost its memory",
		Long: `Accept-reset takes the key store's memory as it is now, for every process that
uses it, after it was emptied, replaced or set back. What was confirmed before
and is not there now may be repeated.`,
		Example: "  millrace keys accept-reset",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.keysAcceptReset(cmd.Context(), f) },
	}
	for _, cmd := range []*cobra.Command{get, remove} {
		cmd.Flags().StringVar(&f.sink, "sink", "", "only this sink's key (default every sink's)")
		cmd.Flags().IntVar(&f.generation, "generation", 0, "keys of this generation (default the configuration's)")
		cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("generation") && f.generation < 1 {
				return usageError{errors.New("--generation counts from 1")}
			}
			return nil
		}
	}
	for _, cmd := range []*cobra.Command{remove, accept} {
		cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	}
	keys.AddCommand(get, remove, a.keysListCommand(&f), a.keysStatsCommand(&f), accept)
	for _, cmd := range keys.Commands() {
		usageArgs(cmd)
	}
	return keys
}

// pipelineAndKey takes both, and says which is missing.
func pipelineAndKey(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 2:
		return nil
	case 1:
		return fmt.Errorf("it takes a pipeline and a key, and was given only %q", args[0])
	default:
		return fmt.Errorf("it takes a pipeline and a key, in quotes where it has spaces, and was given %s",
			count(len(args), "argument"))
	}
}

func (a *app) keysGet(ctx context.Context, pipelineName, key string, f keysFlags) (err error) {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	plan, named, err := a.namedKeys(pipelineName, key, f)
	if err != nil {
		return err
	}
	kept, err := a.keptKeys(ctx, named)
	if err != nil {
		return err
	}
	log, err := a.clientLogger()
	if err != nil {
		return err
	}
	if _, err := a.processes(f.pid); err != nil {
		return err
	}
	keys, err := keys.NewReader(plan.Store, a.state(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	rows, _, err := keys.Get(ctx, idsOf(named))
	if err != nil {
		return err
	}
	missing := false
	for i, row := range rows {
		if row != nil {
			row.Answer = a.redactor.Shown(row.Answer)
		}
		by, keeps := kept[named[i].Sink]
		if by != nil {
			by.Answer = a.redactor.Shown(by.Answer)
		}
		if err := named[i].print(a.out, f.format, row, by, keeps); err != nil {
			return err
		}
		missing = missing || row == nil && by == nil
	}
	if f.exitCode && missing {
		return errSaid
	}
	return nil
}

func (a *app) keysDelete(ctx context.Context, pipelineName, key string, f keysFlags) (err error) {
	plan, named, err := a.namedKeys(pipelineName, key, f)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("forget %q of %s? Its effect can then happen again.", key,
		strings.Join(sinksOf(named), ", "))
	if err := a.sure(question, f.yes); err != nil {
		return err
	}
	were, err := a.deleteKeys(ctx, plan, idsOf(named), f.pid)
	if err != nil {
		return err
	}
	for i, there := range were {
		word := "forgotten"
		if !there {
			word = "not there"
		}
		fmt.Fprintf(a.out, "%s %s: %s\n", named[i].Pipeline, named[i].Sink, word)
	}
	return nil
}

// deleteKeys forgets keys where they live.
func (a *app) deleteKeys(ctx context.Context, plan *plan.Plan, ids []idempotency.ID, pid int) (_ []bool, err error) {
	if !plan.Store.Embedded {
		return keys.Delete(ctx, plan.Store, ids)
	}
	store, closeStore, err := a.keyStore(ctx, plan, pid)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	return store.Delete(ctx, ids)
}

func (a *app) keysAcceptReset(ctx context.Context, f keysFlags) (err error) {
	part, err := a.loadPart(only("kafka", "idempotency"))
	if err != nil {
		return err
	}
	store, closeStore, err := a.keyStore(ctx, part.Plan, f.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	if err := a.sure("go on with what the key store holds now? Effects whose keys it lost may be repeated.",
		f.yes); err != nil {
		return err
	}
	if err := store.AcceptReset(ctx); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "accepted: every process that uses this store goes on with what it holds now")
	return nil
}

// sure asks, unless told not to.
func (a *app) sure(question string, yes bool) error {
	switch {
	case yes:
		return nil
	case !a.canAsk():
		return usageError{errors.New("it asks before it changes anything, and nobody can answer here: give --yes")}
	case !a.ask(question + " [y/N] "):
		return errors.New("nothing was changed")
	default:
		return nil
	}
}

// usesKeys is what the identity of a pipeline's keys hangs on, beside the store:
// its generation and the names of its sinks, not what a key is made of.
func usesKeys(pipelineName string) uses {
	path := pipelinePath([]string{pipelineName})
	return func(p diag.Problem) bool {
		inSink := strings.Contains(string(p.Path), ".sinks[")
		return only("kafka", "idempotency")(p) || p.Path == path.Field("idempotency").Field("generation") ||
			p.Path.Within(path) && inSink && (strings.HasSuffix(string(p.Path), ".name") ||
				p.Code == diag.CodeUnknownKey || p.Code == diag.CodeSinkName)
	}
}

// namedKeys are the keys that a command is about, one a sink, and the plan with
// their store.
func (a *app) namedKeys(pipelineName, key string, f keysFlags) (*plan.Plan, []namedKey, error) {
	part, err := a.loadPart(usesKeys(pipelineName))
	if err != nil {
		return nil, nil, err
	}
	named, err := nameKeys(part.Plan, pipelineName, key, f)
	if err != nil {
		return nil, nil, a.notThere(part, err)
	}
	return part.Plan, named, nil
}

func nameKeys(planned *plan.Plan, pipelineName, key string, f keysFlags) ([]namedKey, error) {
	var found *plan.Pipeline
	var names []string
	for _, p := range planned.Pipelines {
		names = append(names, p.Name)
		if p.Name == pipelineName {
			found = p
		}
	}
	if found == nil {
		return nil, unknownName("pipeline", pipelineName, names)
	}
	if found.Idempotency == nil {
		return nil, usageError{fmt.Errorf("pipeline %q has no idempotency keys", pipelineName)}
	}
	generation := f.generation
	if generation == 0 {
		generation = found.Idempotency.Generation
	}
	var all []namedKey
	var sinks []string
	for _, s := range found.Sinks() {
		sinks = append(sinks, s.Name)
		if f.sink == "" || f.sink == s.Name {
			all = append(all, namedKey{Pipeline: pipelineName, Sink: s.Name, Generation: generation, Key: key})
		}
	}
	if len(all) == 0 {
		return nil, unknownName("sink", f.sink, sinks)
	}
	return all, nil
}

func unknownName(what, name string, names []string) error {
	hint := ""
	if near := diag.Nearest(name, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return usageError{fmt.Errorf("there is no %s %q%s", what, name, hint)}
}

// keyStore finds the keys of the configuration: Redis itself, the process that
// holds the embedded store, or the folder.
func (a *app) keyStore(ctx context.Context, plan *plan.Plan, pid int) (api.Keys, func() error, error) {
	log, err := a.clientLogger()
	if err != nil {
		return nil, nil, err
	}
	deps := keys.Deps{Logger: log}
	// Looking at keys is no reason to refuse a store, whatever it may evict.
	plan.Store.AllowEviction = true
	if plan.Store.Embedded {
		runs, err := a.processes(pid)
		if err != nil {
			return nil, nil, err
		}
		for _, run := range runs {
			if run.Has(state.Keys) {
				client := api.Dial(run.Socket)
				return client.Keys(), func() error { client.Close(); return nil }, nil
			}
		}
		if deps.Folder, err = state.Open(a.state()); err != nil {
			return nil, nil, err
		}
	}
	var store keys.Store
	err = a.patiently("the key store has not answered yet", func() error {
		store, err = keys.Open(ctx, plan.Store, deps)
		return err
	}, nil)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

func idsOf(named []namedKey) []idempotency.ID {
	ids := make([]idempotency.ID, len(named))
	for i, n := range named {
		ids[i] = idempotency.Identity(n.Pipeline, n.Sink, n.Generation, n.Key)
	}
	return ids
}

func sinksOf(named []namedKey) []string {
	all := make([]string, len(named))
	for i, n := range named {
		all[i] = n.Pipeline + " " + n.Sink
	}
	return all
}
