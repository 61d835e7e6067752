package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/admin"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/memory"
)

// flow is one pipeline as it runs.
type flow struct {
	plan       *PipelinePlan
	subscriber *kafka.Subscriber
	delivery   *Delivery
	meter      *meter

	mu     sync.Mutex
	state  string
	err    error
	alarms map[string]string
	last   []kafka.PartitionStatus // of a stopped pipeline
}

// flowDeps is what all pipelines of a process share.
type flowDeps struct {
	settings kafka.Settings
	store    KeyStore
	producer handlers.Producer
	run      *idempotency.Run
	holder   idempotency.Holder
	memory   *memory.Budget
}

func (r *Runner) openFlow(ctx context.Context, p *PipelinePlan, deps flowDeps, open *closers) (*flow, error) {
	f := &flow{plan: p, state: "starting", alarms: map[string]string{}}
	log := r.deps.Logger.With("pipeline", p.Name)
	f.meter = newMeter(r.metrics.Pipeline(p.Name))
	sinks, err := OpenSinks(p, handlers.Env{Version: r.deps.Version, Producer: deps.producer, Stdout: r.deps.Stdout, Logger: log}, open)
	if err != nil {
		return nil, err
	}
	observers := Observers{f.meter}
	if r.deps.Observer != nil {
		observers = append(observers, r.deps.Observer)
	}
	f.delivery = NewDelivery(ctx, p, DeliveryDeps{
		Sinks: sinks, Store: deps.store, Run: deps.run, Holder: deps.holder, Producer: deps.producer,
		ConfigDigest: r.plan.Digest, Observer: observers, Logger: log,
		Stop: func(err error) { f.stop(log, err, r.ended) }, Work: deps.memory.Work, WorkMost: r.plan.Limits.Bytes,
	})
	open.add("pipeline "+p.Name, func(context.Context) error { f.delivery.Close(); return nil })
	kafkaDeps := kafka.Deps{
		Logger:  log,
		Held:    deps.memory.Held,
		OnAlarm: func(a kafka.Alarm) { f.alarm(r.metrics.Pipeline(p.Name), a) },
		OnEnd:   func(err error) { f.stop(log, err, r.ended) },
	}
	if deps.store != nil && p.Idempotency != nil {
		kafkaDeps.Epoch = deps.store.Known
		kafkaDeps.OnEpoch = func(_ string, _ int32, committed, _ string) { deps.store.Remember(committed) }
	}
	if f.subscriber, err = kafka.NewSubscriber(deps.settings, r.source(p), kafkaDeps); err != nil {
		return nil, err
	}
	open.add("the source of "+p.Name, func(context.Context) error { return f.subscriber.Close() })
	return f, nil
}

// OpenSinks opens the sinks of a pipeline, in the order of its Sinks(). Those
// that were opened are added to what is closed at the end, also on an error.
func OpenSinks(p *PipelinePlan, env handlers.Env, open *closers) ([]handlers.Sink, error) {
	var sinks []handlers.Sink
	for _, s := range p.Sinks() {
		env.Pipeline, env.Name = p.Name, s.Name
		env.Logger = env.Logger.With("sink", s.Name)
		sink, err := s.Spec.Open(s.Config, env)
		if err != nil {
			return nil, fmt.Errorf("open sink %q: %w", s.Name, err)
		}
		open.add(fmt.Sprintf("sink %q of %s", s.Name, p.Name), sink.Close)
		sinks = append(sinks, sink)
	}
	return sinks, nil
}

// stop notes that the pipeline must not go on. Of several records that stop it
// the first of a partition is told.
func (f *flow) stop(log *slog.Logger, err error, ended chan<- *flow) {
	f.mu.Lock()
	first := f.err == nil
	if first || earlier(err, f.err) {
		f.err, f.state = err, "stopped"
	}
	f.mu.Unlock()
	if first {
		log.Error("the pipeline has stopped, and does not go on by itself: its offset stays before the first unfinished record, which the next start reads again", "err", err)
		ended <- f
	}
}

// CutOff says what it means that the process ends now, before its drain is done.
func (r *Runner) CutOff() {
	r.mu.Lock()
	flows := r.flows
	r.mu.Unlock()
	for _, f := range flows {
		f.sayCut(r.deps.Logger, "calls under way are cut off", f.delivery.UnderWay())
	}
}

// sayCut says what becomes of records whose calls were cut off, and whether there
// are any.
func (f *flow) sayCut(log *slog.Logger, what string, records int) bool {
	if records == 0 {
		return false
	}
	then := "they are made again at the next start"
	if guard := f.plan.Idempotency; guard != nil && guard.OnUncertain == ActionPark {
		then = "the next start parks those that were made, as on_uncertain says, and does not make them again"
	}
	log.Warn(what+": what became of them is unknown, and "+then, "pipeline", f.plan.Name, "records", records)
	return true
}

// earlier tells whether a names an earlier record of the same partition than b.
func earlier(a, b error) bool {
	var x, y *stopError
	return errors.As(a, &x) && errors.As(b, &y) &&
		x.rec.Topic == y.rec.Topic && x.rec.Partition == y.rec.Partition && x.rec.Offset < y.rec.Offset
}

// keepPartitions keeps what is known of the partitions when they are given up,
// so that a stopped pipeline still shows what it has not read.
func (f *flow) keepPartitions() {
	last := f.subscriber.Status()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = last
}

func (f *flow) partitions() []kafka.PartitionStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil {
		return f.last
	}
	return f.subscriber.Status()
}

func (f *flow) stopped() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *flow) setState(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != "stopped" {
		f.state = s
	}
}

func (f *flow) getState() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *flow) alarm(m *admin.PipelineMetrics, a kafka.Alarm) {
	m.Alarm(a.Topic, a.Partition, a.Kind, !a.Cleared)
	f.mu.Lock()
	defer f.mu.Unlock()
	where := fmt.Sprintf("%s/%d %s", a.Topic, a.Partition, a.Kind)
	if a.Cleared {
		delete(f.alarms, where)
		return
	}
	f.alarms[where] = a.Message
}

// troubles say why the pipeline is not ready, sorted; empty when it is.
func (f *flow) troubles() []trouble {
	f.mu.Lock()
	var all []trouble
	if f.err != nil {
		all = append(all, trouble{"stopped", f.err.Error() + "; the pipeline does not go on by itself"})
	}
	for _, where := range slices.Sorted(maps.Keys(f.alarms)) {
		all = append(all, trouble{where, where + ": " + f.alarms[where]})
	}
	f.mu.Unlock()
	return append(all, f.delivery.pauses.troubles()...)
}

// meter turns events into metrics and into the counts that a status shows.
type meter struct {
	metrics *admin.PipelineMetrics
	retries atomic.Int64
	counts  [6]atomic.Int64 // in the order of Outcomes
}

func newMeter(m *admin.PipelineMetrics) *meter { return &meter{metrics: m} }

// Outcomes are all outcomes in the order in which they are shown.
func Outcomes() [6]Outcome {
	return [6]Outcome{Delivered, Duplicate, Filtered, Unmatched, Dropped, DeadLettered}
}

// Observe counts e.
func (m *meter) Observe(e Event) {
	switch e.Kind {
	case EventRecord:
		m.metrics.Outcome(string(e.Outcome), 1)
		for i, o := range Outcomes() {
			if o == e.Outcome {
				m.counts[i].Add(1)
			}
		}
	case EventClaim:
		m.metrics.Claim(e.Reason, 1)
	case EventConfirm:
		if e.Reason == "lost" {
			m.metrics.ConfirmLost()
		}
	case EventWrite:
		m.metrics.Sink(e.Sink).Write("taken", e.Took)
	case EventRetry:
		m.retries.Add(1)
		m.metrics.Sink(e.Sink).Retry()
		m.metrics.Sink(e.Sink).Write(e.Reason, e.Took)
	case EventDeadLetter:
		m.metrics.DeadLetter(e.Reason)
	case EventPause, EventResume:
		if e.Sink != "" {
			m.metrics.Sink(e.Sink).Paused(e.Kind == EventPause)
		}
	}
}

func (m *meter) outcomes() map[string]int64 {
	all := map[string]int64{}
	for i, o := range Outcomes() {
		if n := m.counts[i].Load(); n > 0 {
			all[string(o)] = n
		}
	}
	return all
}
