package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// Options are what Connect goes by.
type Options struct {
	// Replicas is how many processes are to share the work, 0 where that is not
	// known.
	Replicas int
	// Timeout bounds all checks together.
	Timeout time.Duration
	// StateDir is the state folder, which may be missing.
	StateDir string
	// Stdout is where a run would print.
	Stdout io.Writer
	Logger *slog.Logger
}

// Connection is what Connect found.
type Connection struct {
	// Problems are all that is wrong, at the places that it concerns.
	Problems diag.Problems
	// Seen says, a line each, what was looked at.
	Seen []string
}

// Connect looks at what the plan needs of the world: brokers, topics, groups, the
// key store and the sinks' systems. It writes nothing anywhere: no topic, no
// offset, no key, no request, no file. The checks run at the same time, and what
// has not answered within the timeout is a problem.
func Connect(ctx context.Context, result *compile.Result, options Options) Connection {
	c := &connector{result: result, plan: result.Plan, options: options, settings: result.Plan.Kafka,
		epochs: map[string]*compile.Definition{}, looked: make(chan struct{}), seen: map[string]string{}}
	c.uses = compile.TopicUses(result)
	limited, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { c.kafka(limited) })
	all.Go(func() { c.store(limited) })
	c.probe(limited, &all)
	all.Wait()
	c.memory()
	c.plan.Redactor.Problems(c.problems)
	// Those of one place come in any order.
	slices.SortFunc(c.problems, func(a, b diag.Problem) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	c.problems.Sort()
	var seen []string
	for _, what := range []string{"kafka", "idempotency.store", "sinks"} {
		if text := c.seen[what]; text != "" {
			seen = append(seen, what+": "+text)
		}
	}
	return Connection{Problems: c.problems, Seen: seen}
}

type connector struct {
	result   *compile.Result
	plan     *plan.Plan
	options  Options
	settings kafka.Settings
	uses     []compile.TopicUse
	// looked is closed once topics are filled in, or nothing is known of them.
	looked chan struct{}
	topics map[string]kafka.TopicState

	mu       sync.Mutex
	problems diag.Problems
	seen     map[string]string
	// epochs are the memories of the key store that groups committed under, each
	// with a pipeline that did.
	epochs map[string]*compile.Definition
	// memories is what the key store has now: nil where that is not known.
	memories func(epoch string) bool
}

// report adds a problem at the value of a path, or at the nearest key around it
// that is written.
func (c *connector) report(f *config.File, p diag.Problem) {
	if f == nil {
		f = c.result.Config.Files[0]
	}
	if p.Place.File == "" {
		p.Place = f.Source.Value(p.Path)
		if !f.Source.Has(p.Path) && p.Path.Parent() == "" {
			p.Place = f.Source.Whole()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems.Add(p)
}

func (c *connector) note(what, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what] = text
}

// with returns the file that has a block, nil where none has.
func (c *connector) with(block diag.Path) *config.File {
	for _, f := range c.result.Config.Files {
		if f.Source.Has(block) {
			return f
		}
	}
	return nil
}

// reason is why something did not answer, in words for a person.
func (c *connector) reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", c.options.Timeout)
	}
	return err.Error()
}

// probe asks the sinks whether their systems are ready.
func (c *connector) probe(ctx context.Context, all *sync.WaitGroup) {
	probed := 0
	for i := range c.result.Definitions {
		o := &c.result.Definitions[i]
		for _, s := range compile.SinksOf(o) {
			probed++
			all.Go(func() { c.probeSink(ctx, o, s) })
		}
	}
	if probed > 0 {
		c.note("sinks", fmt.Sprintf("%d asked", probed))
	}
}

func (c *connector) probeSink(ctx context.Context, o *compile.Definition, s compile.PlacedSink) {
	sink, err := s.Plan.Spec.Open(s.Plan.Config, handlers.Env{
		Pipeline: o.Plan.Name, Name: s.Plan.Name, Producer: lookingProducer{c: c}, Stdout: c.options.Stdout,
		Logger: c.options.Logger,
	})
	if err != nil {
		c.report(o.File, diag.Problem{Path: s.Path, Code: diag.CodeSinkDown,
			Message: fmt.Sprintf("the sink %q can't be opened: %v", s.Plan.Name, err)})
		return
	}
	if prober, ok := sink.(handlers.Prober); ok {
		err = prober.Probe(ctx)
	}
	path := s.Path
	if field, ok := errors.AsType[*handlers.FieldError](err); ok {
		path = path.Fields(field.Field)
	}
	if err != nil && !c.ownIngest(err) {
		c.report(o.File, diag.Problem{Path: path, Code: diag.CodeSinkDown,
			Message: fmt.Sprintf("the sink %q is not ready: %s", s.Plan.Name, c.reason(err))})
	}
	if err := sink.Close(ctx); err != nil {
		c.options.Logger.Debug("a probed sink could not be closed", "sink", s.Plan.Name, "err", err)
	}
}

// ownIngest tells whether it is the ingest of this very configuration that does
// not listen: a run opens it before its sinks are needed.
func (c *connector) ownIngest(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok || c.plan.Ingest == nil || failed.Op != "dial" {
		return false
	}
	to, ok := failed.Addr.(*net.TCPAddr)
	host, port, err := net.SplitHostPort(c.plan.Ingest.Listen)
	if !ok || err != nil || port != strconv.Itoa(to.Port) {
		return false
	}
	ip := net.ParseIP(host)
	return to.IP.IsLoopback() && (ip == nil || ip.IsUnspecified() || ip.IsLoopback()) || ip.Equal(to.IP)
}

// lookingProducer writes nothing: it tells sinks about topics.
type lookingProducer struct {
	c *connector
	// makes tells that the sink makes the topics that are missing.
	makes bool
}

// WithMissingTopic notes what the sink does about topics that are missing.
func (l lookingProducer) WithMissingTopic(policy string, _ int) handlers.Producer {
	l.makes = policy == handlers.MissingCreate || policy == "" && l.c.plan.Embedded != ""
	return l
}

// Produce refuses every record.
func (lookingProducer) Produce(context.Context, []*handlers.Record) error {
	return errors.New("nothing is written by a check")
}

// ProbeTopic tells what keeps records from being written to a topic, unless that
// is told of another place that names it, or of the brokers.
func (l lookingProducer) ProbeTopic(ctx context.Context, topic string) error {
	select {
	case <-l.c.looked:
	case <-ctx.Done():
		return nil // The brokers did not answer, which is told of them.
	}
	state, ok := l.c.topics[topic]
	told := slices.ContainsFunc(l.c.uses, func(u compile.TopicUse) bool {
		return u.Topic == topic &&
			u.Role != compile.AsSink
	})
	switch {
	case !ok, told && !state.Exists:
		return nil
	case !state.Exists && !state.Refused() && (l.makes || l.c.plan.Embedded != ""):
		return nil // It is made by the first record.
	}
	if _, message, hint := unwritable(state); message != "" {
		return errors.New(cmp.Or(message+": "+hint, message))
	}
	return nil
}
