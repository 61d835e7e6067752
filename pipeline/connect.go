package pipeline

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
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// ConnectOptions are what Connect goes by.
type ConnectOptions struct {
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
func (p *Plan) Connect(ctx context.Context, options ConnectOptions) Connection {
	c := &connector{plan: p, options: options, settings: p.Kafka, epochs: map[string]*origin{}, looked: make(chan struct{}), seen: map[string]string{}}
	c.uses = p.topicUses()
	limited, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { c.kafka(limited) })
	all.Go(func() { c.store(limited) })
	c.probe(limited, &all)
	all.Wait()
	c.memory()
	redactProblems(c.problems, p.secrets)
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
	plan     *Plan
	options  ConnectOptions
	settings kafka.Settings
	uses     []topicUse
	// looked is closed once topics are filled in, or nothing is known of them.
	looked chan struct{}
	topics map[string]kafka.TopicState

	mu       sync.Mutex
	problems diag.Problems
	seen     map[string]string
	// epochs are the memories of the key store that groups committed under, each
	// with a pipeline that did.
	epochs map[string]*origin
	// memories is what the key store has now: nil where that is not known.
	memories func(epoch string) bool
}

// topicUse is one place of the configuration that names a topic.
type topicUse struct {
	topic  string
	role   topicRole
	origin *origin // nil where no pipeline uses it
	file   *File
	path   diag.Path
	// declared tells that it is an entry of topics:.
	declared bool
}

type topicRole string

const (
	asSource     topicRole = "source"
	asDeadLetter topicRole = "dead-letter"
	asSink       topicRole = "sink"
	asIngest     topicRole = "ingest"
)

// topicUses are the places that name topics of constant names.
func (p *Plan) topicUses() (uses []topicUse) {
	for i := range p.origins {
		o := &p.origins[i]
		source := o.path.Field("source")
		for n, topic := range o.plan.Source.Topics {
			path := source.Field("topic")
			if !o.file.Source.Has(path) {
				path = source.Field("topics").Item(n)
			}
			uses = append(uses, topicUse{topic: topic, role: asSource, origin: o, file: o.file, path: path})
		}
		if topic := o.plan.DeadLetter; topic != "" {
			uses = append(uses, topicUse{topic: topic, role: asDeadLetter, origin: o, file: o.file, path: o.path.Field("dead_letter").Field("topic")})
		}
		for _, s := range o.sinks() {
			for i, topic := range s.plan.Topics {
				uses = append(uses, topicUse{topic: topic, role: asSink, origin: o, file: o.file, path: s.plan.topicPaths[i]})
			}
		}
	}
	for _, f := range p.config.Files {
		if f.Blocks.Ingest == nil {
			continue
		}
		for i, route := range f.Blocks.Ingest.Routes {
			uses = append(uses, topicUse{topic: route.Topic, role: asIngest, file: f, path: diag.Path("ingest.routes").Item(i).Field("topic")})
		}
	}
	return uses
}

// placedSink is a sink with the path of its handler's settings.
type placedSink struct {
	plan *SinkPlan
	path diag.Path
}

func (o *origin) sinks() (all []placedSink) {
	for i := range o.plan.Routes {
		list := o.path.Field("sinks")
		if !o.file.Source.Has(list) {
			list = o.path.Field("routes").Item(i).Field("sinks")
		}
		sinks := o.plan.Routes[i].Sinks
		for n := range sinks {
			all = append(all, placedSink{&sinks[n], list.Item(n).Field(sinks[n].Kind)})
		}
	}
	return all
}

// report adds a problem at the value of a path, or at the nearest key around it
// that is written.
func (c *connector) report(f *File, p diag.Problem) {
	if f == nil {
		f = c.plan.config.Files[0]
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
func (c *connector) with(block diag.Path) *File {
	for _, f := range c.plan.config.Files {
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
	for i := range c.plan.origins {
		o := &c.plan.origins[i]
		for _, s := range o.sinks() {
			probed++
			all.Go(func() { c.probeSink(ctx, o, s) })
		}
	}
	if probed > 0 {
		c.note("sinks", fmt.Sprintf("%d asked", probed))
	}
}

func (c *connector) probeSink(ctx context.Context, o *origin, s placedSink) {
	sink, err := s.plan.Spec.Open(s.plan.Config, handlers.Env{
		Pipeline: o.plan.Name, Name: s.plan.Name, Producer: lookingProducer{c: c}, Stdout: c.options.Stdout, Logger: c.options.Logger,
	})
	if err != nil {
		c.report(o.file, diag.Problem{Path: s.path, Code: diag.CodeSinkDown, Message: fmt.Sprintf("the sink %q can't be opened: %v", s.plan.Name, err)})
		return
	}
	if prober, ok := sink.(handlers.Prober); ok {
		err = prober.Probe(ctx)
	}
	path := s.path
	if field, ok := errors.AsType[*handlers.FieldError](err); ok {
		path = path.Fields(field.Field)
	}
	if err != nil && !c.ownIngest(err) {
		c.report(o.file, diag.Problem{Path: path, Code: diag.CodeSinkDown, Message: fmt.Sprintf("the sink %q is not ready: %s", s.plan.Name, c.reason(err))})
	}
	if err := sink.Close(ctx); err != nil {
		c.options.Logger.Debug("a probed sink could not be closed", "sink", s.plan.Name, "err", err)
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
	told := slices.ContainsFunc(l.c.uses, func(u topicUse) bool { return u.topic == topic && u.role != asSink })
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
