//go:build unix

// Package ledger runs millrace as users run it, under load and under faults, and
// keeps books of what became of each record. It shares no code with what it
// watches: it has Kafka clients, receivers and a reader of files of its own.
//
// All that it does follows from a seed: which records there are, which faults
// come when, and which calls its receivers answer badly. At the end it says what
// was lost, what was repeated without a fault that explains it, what came out of
// order, what was dead-lettered without a cause, and which commits went past what
// was done.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Options say what to run, and where.
type Options struct {
	// Seed is what all that happens follows from.
	Seed uint64
	// Time is for how long records are sent; what is left is waited for.
	Time time.Duration
	// Rate is how many records are sent in a second, and Backlog how many at once
	// before the first process starts.
	Rate, Backlog int
	// Faults are what may happen, in the order of the first round; each later
	// round is in an order of its own. Nil stands for all that the bed knows,
	// in the seed's order.
	Faults []Fault
	// Brokers are the cluster's addresses, and Store is `idempotency.store`.
	Brokers []string
	Store   string
	// Prefix is before all names of topics and pipelines.
	Prefix string
	// Replicas is how many processes share the work, each in a folder of its own
	// within Dir.
	Replicas int
	Dir      string
	// Command is a process of the binary, with arguments.
	Command func(args ...string) *exec.Cmd
	// Redis is the server of Store, nil where that is another kind of store.
	Redis Redis
	// Log says what happens, as it happens.
	Log func(format string, args ...any)
}

// Redis is a server that can be made to go away.
type Redis interface {
	Pause() error
	Continue() error
	Kill() error
	Start(context.Context) error
}

// slack is how much later than it happened the books may note an effect in a
// topic or a file.
const slack = time.Second

// run is one run of the ledger.
type run struct {
	Options
	books     *books
	kafka     *cluster
	receivers map[string]*receiver // by pipeline
	replicas  []*replica
	began     time.Time
}

// Run runs records through the binary and returns what the books say. An error
// means that the run itself could not be made.
func Run(ctx context.Context, options Options) (_ *Report, err error) {
	r := &run{Options: options, books: newBooks(), receivers: map[string]*receiver{}}
	r.books.processes, r.books.forgets = max(1, options.Replicas), options.Redis == nil
	if r.kafka, err = connect(r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, r.close())
	}()
	records, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(chan error, 1)
	go func() {
		err := r.send(ctx, records)
		if err != nil {
			cancel()
		}
		sent <- err
	}()
	if err := r.trouble(ctx); err != nil {
		return nil, errors.Join(err, <-sent)
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	left := r.finish(ctx)
	return r.report(left), nil
}

// open starts all that takes part.
func (r *run) open(ctx context.Context) (*maker, error) {
	for _, name := range []string{calls, parked} {
		receiver, err := newReceiver(name, r.Seed, r.books)
		if err != nil {
			return nil, err
		}
		r.receivers[name] = receiver
	}
	if err := r.kafka.prepare(ctx); err != nil {
		return nil, err
	}
	r.began = time.Now()
	m := newMaker(r.Seed)
	if err := r.kafka.produce(ctx, m, r.Backlog); err != nil {
		return nil, err
	}
	for i := range r.Replicas {
		p, err := newReplica(r, i)
		if err != nil {
			return nil, err
		}
		r.replicas = append(r.replicas, p)
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	r.kafka.watch(ctx)
	return m, nil
}

// finish waits until the groups have committed the ends of the source, and the
// books hold all that was written. What is left after a minute stands still.
func (r *run) finish(ctx context.Context) (left int64) {
	for _, receiver := range r.receivers {
		receiver.set(trouble{})
	}
	deadline := time.Now().Add(time.Minute)
	for {
		left = r.kafka.left(ctx)
		if left == 0 && r.kafka.caughtUp(ctx) || time.Now().After(deadline) || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, p := range r.replicas {
		if err := p.stop(); err != nil {
			r.books.fail("%v", err)
		}
		p.readLines()
	}
	return left
}

func (r *run) close() error {
	var errs []error
	for _, p := range r.replicas {
		errs = append(errs, p.kill())
	}
	for _, receiver := range r.receivers {
		errs = append(errs, receiver.close())
	}
	r.kafka.close()
	return errors.Join(errs...)
}

// file is the configuration of a replica.
func (r *run) file(i int) string {
	return fmt.Sprintf(`version: 1
kafka: {brokers: %[1]q, client_id: replica-%[2]d}
idempotency: {store: %[3]q, lease: 3s, ttl: 1d}
drain: 10s
pipelines:
  %[4]scalls:
    source: &source {topic: %[4]sevents, session_timeout: 6s%[7]s}
    idempotency: {key: "call:${payload.id}"}
    sinks: [{http: {url: "http://%[5]s/${payload.id}", timeout: 5s}}]
    retry: &retry {initial: 100ms, max: 2s}
  %[4]sparked:
    source: *source
    idempotency: {key: "call:${payload.id}", on_uncertain: park}
    sinks: [{http: {url: "http://%[6]s/", timeout: 5s}}]
    retry: *retry
  %[4]scopies:
    source: *source
    idempotency: {key: "copy:${payload.id}"}
    sinks:
      - kafka: {topic: "%[4]scopies_${payload.kind}"}
      - file: {dir: out, path: lines.jsonl}
    retry: *retry
  %[4]splain:
    source: *source
    sinks: [{kafka: {topic: %[4]splain}}]
    retry: *retry
    rate_limit: 300/s
`, r.Brokers, i, r.Store, r.Prefix, r.receivers[calls].address, r.receivers[parked].address, r.member(i))
}

// member makes every second replica a static member of its groups.
func (r *run) member(i int) string {
	if (uint64(i)+r.Seed)%2 == 0 {
		return ""
	}
	return fmt.Sprintf(", instance: replica-%d", i)
}

// The pipelines, all of the same topic.
const (
	calls  = "calls"  // keyed, over HTTP
	parked = "parked" // the same, with `on_uncertain: park`
	copies = "copies" // keyed, into a topic that the record names, and into a file
	plain  = "plain"  // without keys, into a topic, held back by a rate limit
)

// sinks are what each pipeline writes to, as the books name it.
var sinks = map[string][]string{calls: {calls}, parked: {parked}, copies: {copies, lines}, plain: {plain}}

// lines is the file sink of copies.
const lines = "lines"
