package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/ingest"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/keys"
	"github.com/millrace/millrace/pipeline/memory"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// Runner runs a plan: it opens what the pipelines share, supervises a flow for each,
// and drains them at the end.
type Runner struct {
	plan    *plan.Plan
	deps    RunnerDeps
	started time.Time
	metrics *api.Metrics
	// observer is told what happens in the process beside its pipelines.
	observer events.Observer
	memory   *memory.Budget
	pauses   *pauseBook
	skips    *skipBook
	skipping sync.Mutex
	// admin looks at the cluster; it is set before anything runs.
	admin *kafka.Admin

	mu    sync.Mutex
	store keys.Store // set once; nil where no pipeline guards its effects
	// storeDown is why the key store does not answer, empty if it does, and
	// clusterDown the same of the brokers; waiting is what a start waits for.
	storeDown, clusterDown, waiting string
	supervisor                      *supervisor
	settings                        kafka.Settings
	embedded                        bool
	ingest                          string
	health                          string
	// folder is the state folder, nil where it can't be written; parts are those
	// that this process runs there, and folderGone says that it was removed.
	folder     *state.Folder
	parts      []state.Part
	folderGone string
	publisher  *kafka.Publisher
	// brokerTroubles are those of the embedded broker.
	brokerTroubles brokerTroubles
	works          works
}

// RunnerDeps is what a Runner uses of its process.
type RunnerDeps struct {
	Version string
	// StateDir is the state folder, made where it is missing.
	StateDir string
	// Stdout is where `stdout` sinks write.
	Stdout io.Writer
	Logger *slog.Logger
	// Observer, where set, is told every event beside metrics.
	Observer events.Observer
	// CreateTopics makes the topics that the plan names and the cluster lacks.
	CreateTopics bool
	// UntilEnd ends the run once every pipeline has finished what its topics
	// held when it started.
	UntilEnd bool
	// Leave takes static members out of their groups after the drain.
	Leave bool
	// Memory is how many bytes the process should use, of which what comes from
	// outside gets its parts, and MemoryFrom where that comes from; 0 means no limit.
	Memory     int64
	MemoryFrom string
	// OnReady, where set, is called once every pipeline has joined its group.
	OnReady func(api.Status)
	// Job, where set, is done instead of running the pipelines: Run ends with it, and
	// OnJob is told from time to time how it fares, and at its end.
	Job   *api.StartJob
	OnJob func(api.JobStatus)
}

// NewRunner makes a runner; it has no effect until Run.
func NewRunner(plan *plan.Plan, deps RunnerDeps) *Runner {
	deps.Logger = plan.Redactor.Logger(deps.Logger)
	r := &Runner{plan: plan, deps: deps, started: time.Now(), settings: plan.Kafka}
	r.pauses = newPauseBook(deps.Logger)
	r.skips = newSkipBook(names(plan.Pipelines), deps.Logger)
	r.metrics = api.NewMetrics(deps.Version, r)
	r.observer = events.Observers{processMeter{r.metrics}, &r.brokerTroubles}.With(deps.Observer)
	r.memory = memory.NewBudget(deps.Memory, len(plan.Pipelines))
	r.metrics.Memory("held", r.memory.Held.Size(), r.memory.Held.Used)
	r.metrics.Memory("work", r.memory.Work.Size(), r.memory.Work.Used)
	return r
}

// Run runs the plan until ctx ends, and then drains: it stops fetching,
// finishes what is in flight within the plan's drain time, confirms, commits
// and leaves the groups. It returns nil after a clean drain, and an error where
// the plan could not start or its last pipeline stopped by itself.
func (r *Runner) Run(ctx context.Context) error {
	// What is opened is closed in the opposite order, after a drain that ctx
	// must not cut short.
	lasting := context.WithoutCancel(ctx)
	var open closers
	err := r.run(ctx, lasting, &open)
	if errors.Is(err, errStopped) {
		err = nil
	}
	if errors.As(err, new(goneError)) {
		open.leave("the embedded broker", "the key store")
	}
	closing, cancel := context.WithTimeout(lasting, 5*time.Second)
	defer cancel()
	return r.plan.Redactor.Error(errors.Join(err, open.close(closing)))
}

func (r *Runner) run(ctx, lasting context.Context, open *closers) error {
	r.deps.Logger.Info("starting", "pipelines", len(r.plan.Pipelines),
		"memory_limit", r.deps.Memory, "memory_from", r.deps.MemoryFrom)
	folder, parts, err := r.openState(ctx, open)
	if err != nil {
		return err
	}
	if r.admin, err = kafka.NewAdmin(r.settings, kafka.Deps{Logger: r.deps.Logger}); err != nil {
		return fmt.Errorf("reach the brokers: %w", err)
	}
	open.add("the admin client", func(context.Context) error { r.admin.Close(); return nil })
	if parts, err = r.openOwnStore(ctx, folder, parts, open); err != nil {
		return err
	}
	r.folder, r.parts = folder, parts
	if err := r.pauses.open(folder, names(r.plan.Pipelines)); err != nil {
		return err
	}
	// From here on others see the process, also while it waits for what is not up.
	if err := r.openDoors(lasting, folder, parts, open); err != nil {
		return err
	}
	goals, err := r.awaitCluster(ctx)
	if err != nil {
		return err
	}
	if err := r.openSharedStore(ctx, open); err != nil {
		return err
	}
	// Only now, when others see the process: who kept a skip before did not, and asks it.
	r.skips.load(folder)
	producer, err := r.openProducer(open)
	if err != nil {
		return err
	}
	deps := r.flowDeps(producer)
	r.works.open(lasting, deps)
	if r.deps.Job != nil {
		return r.runJob(ctx)
	}
	if err := r.openFlows(lasting, deps, goals, open); err != nil {
		return err
	}
	in, err := r.openIngest(producer, open)
	if err != nil {
		return err
	}
	return r.flow(ctx, lasting, in)
}

func (r *Runner) openProducer(open *closers) (handlers.Producer, error) {
	publisher, err := kafka.NewPublisher(r.settings, kafka.Deps{Logger: r.deps.Logger})
	if err != nil {
		return nil, fmt.Errorf("open the producer: %w", err)
	}
	open.add("the producer", func(context.Context) error { return publisher.Close() })
	r.mu.Lock()
	r.publisher = publisher
	r.mu.Unlock()
	policy := handlers.MissingPause
	if r.embedded {
		policy = handlers.MissingCreate
	}
	return &topicWriter{
		next: publisher, book: newTopicBook(r.admin, r.plan, r.deps.Logger), policy: policy,
		mostNew: math.MaxInt, // for names that come from the configuration; sinks have a bound
	}, nil
}

// flow lets records flow until ctx ends, the end is reached or the last pipeline has
// stopped, and drains.
func (r *Runner) flow(ctx, lasting context.Context, in *ingest.Server) error {
	for _, f := range r.supervisor.all() {
		if err := r.supervisor.run(lasting, f); err != nil {
			return errors.Join(err, r.supervisor.drain())
		}
	}
	watch, stopWatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(watch) })
	watching.Go(func() { r.watchStore(watch) })
	watching.Go(func() { r.watchCluster(watch) })
	watching.Go(func() { r.watchStopped(watch) })
	watching.Go(func() { r.watchSkips(watch) })
	reached := make(chan error, 2) // the end, and the folder
	watching.Go(func() { r.awaitEnd(watch, reached) })
	watching.Go(func() { r.watchFolder(watch, reached) })

	failed := r.wait(ctx, reached)
	stopWatch()
	watching.Wait()
	if in != nil {
		in.Refuse()
	}
	if errors.As(failed, new(goneError)) {
		r.supervisor.cancel()
		return failed // a drain could make nothing durable
	}
	r.deps.Logger.Info("draining", "drain", r.plan.Drain)
	r.works.end()
	err := errors.Join(failed, r.supervisor.drain(), r.leave(lasting))
	cut := false
	for _, f := range r.supervisor.all() {
		cut = f.sayCut("calls were cut off after the drain time", int(f.delivery.Cut())) || cut
	}
	if cut {
		r.deps.Logger.Info("ended; what was not cut off is drained")
	} else {
		r.deps.Logger.Info("drained")
	}
	return err
}

// wait returns when ctx ends or the end is reached, with an error when the last
// pipeline has stopped.
func (r *Runner) wait(ctx context.Context, reached <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-reached:
			return err
		case <-r.supervisor.changed:
			if err := r.supervisor.ended(); err != nil {
				return fmt.Errorf("the last pipeline has stopped: %w", err)
			}
		}
	}
}

// flowDeps are what the flows of the process share.
func (r *Runner) flowDeps(producer handlers.Producer) flowDeps {
	run := idempotency.NewRun()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return flowDeps{
		settings: r.settings, store: r.keyStore(), producer: producer, run: run, memory: r.memory, pauses: r.pauses,
		skips:   r.skips,
		holder:  idempotency.Holder{Host: host, PID: os.Getpid(), Run: run.ID()},
		metrics: r.metrics, observer: r.deps.Observer, log: r.deps.Logger, version: r.deps.Version,
		stdout: r.deps.Stdout,
		digest: r.plan.Digest, workMost: r.plan.Limits.Bytes,
	}
}

// openFlows opens each pipeline's sinks and source, without reading yet.
func (r *Runner) openFlows(ctx context.Context, deps flowDeps, goals map[*plan.Pipeline]*goal, open *closers) error {
	if r.deps.UntilEnd {
		deps.commitMost = goalEvery // it waits for its commits
	}
	s := newSupervisor(deps)
	open.add("the pipelines", s.close)
	r.mu.Lock()
	r.supervisor = s
	r.mu.Unlock()
	for _, p := range r.plan.Pipelines {
		f, err := s.add(ctx, p)
		if err != nil {
			return err
		}
		f.goal = goals[p]
	}
	return nil
}

// CutOff says what it means that the process ends now, before its drain is done.
func (r *Runner) CutOff() {
	r.mu.Lock()
	s := r.supervisor
	r.mu.Unlock()
	for _, f := range s.all() {
		f.sayCut("calls under way are cut off", f.delivery.UnderWay())
	}
}

// openDoors opens what others see of the process: health, control socket and
// run file.
func (r *Runner) openDoors(ctx context.Context, folder *state.Folder, parts []state.Part, open *closers) error {
	if r.plan.Health != "" && r.deps.Job == nil {
		health, err := api.ServeHealth(ctx, api.HealthConfig{Listen: r.plan.Health, Hosts: r.plan.Hosts, Reporter: r,
			Metrics: r.metrics, Logger: r.deps.Logger})
		if err != nil {
			return err
		}
		open.add("the health listener", health.Close)
		r.mu.Lock()
		r.health = health.Addr()
		r.mu.Unlock()
	}
	if folder == nil {
		return nil
	}
	run := state.Run{
		PID: os.Getpid(), Version: r.deps.Version, Started: r.started, Files: absolute(r.plan.Files),
		Pipelines: names(r.plan.Pipelines), Parts: parts, Broker: r.broker(),
	}
	if r.deps.Job != nil {
		run.Job, run.Pipelines = r.deps.Job.Job.ID, nil
	}
	return announce(ctx, folder, run, r.plan.Redactor.Handler(api.Handler(r, r)), r.deps.Logger, open)
}

func (r *Runner) openIngest(producer handlers.Producer, open *closers) (*ingest.Server, error) {
	if r.plan.Ingest == nil {
		return nil, nil
	}
	in := ingest.New(r.plan.Ingest, producer,
		ingest.Deps{Logger: r.deps.Logger, OnRequest: r.ingested, Memory: r.memory.Ingest})
	addr, err := in.Listen()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.ingest = addr.String()
	r.mu.Unlock()
	served := make(chan error, 1)
	go func() { served <- in.Serve() }()
	open.add("the ingest listener", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return errors.Join(in.Close(ctx), <-served)
	})
	return in, nil
}

// watch calls OnReady once, as soon as everything has joined.
func (r *Runner) watch(ctx context.Context) {
	for clock.Sleep(ctx, 20*time.Millisecond) {
		if !r.joined() {
			continue
		}
		status := r.Status()
		if !status.Ready {
			continue
		}
		r.deps.Logger.Info("ready", "took", time.Since(r.started).Round(time.Millisecond).String(), "pipelines",
			len(status.Pipelines),
			"broker", status.Broker, "ingest", status.Ingest, "health", status.Health)
		if r.deps.OnReady != nil {
			r.deps.OnReady(status)
		}
		return
	}
}

// joined tells whether every flow has got so far that it may be ready: a status costs
// more than this does.
func (r *Runner) joined() bool {
	return !slices.ContainsFunc(r.supervisor.all(), func(f *flow) bool { return f.running() != api.Running })
}

func names(pipelines []*plan.Pipeline) []string {
	all := make([]string, len(pipelines))
	for i, p := range pipelines {
		all[i] = p.Name
	}
	return all
}

func absolute(files []string) []string {
	all := make([]string, len(files))
	for i, f := range files {
		all[i] = f
		if abs, err := filepath.Abs(f); err == nil && f != "-" {
			all[i] = abs
		}
	}
	return all
}
