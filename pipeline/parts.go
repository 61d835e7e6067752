package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
)

// openState opens the state folder and, where the plan has no cluster, the
// embedded broker in it, unless a `millrace broker` runs there already. A folder
// that can't be written is a warning where nothing embedded needs it.
func (r *Runner) openState(ctx context.Context, open *closers) (*state.Folder, []state.Part, error) {
	folder, err := state.Open(r.deps.StateDir)
	if err != nil {
		if r.plan.Embedded == "" && !(r.plan.Store.Embedded && r.needsKeys()) {
			r.deps.Logger.Warn("other commands will not find this process", "err", err)
			return nil, nil, nil
		}
		return nil, nil, err
	}
	if r.plan.Embedded == "" {
		return folder, nil, nil
	}
	r.embedded = true
	if addr := brokerBeside(r.deps.StateDir); addr != "" {
		r.deps.Logger.Info("using the embedded broker that runs already", "broker", addr)
		r.setBroker(addr, nil)
		return folder, nil, nil
	}
	broker, err := r.openBroker(ctx, folder)
	if err != nil {
		return nil, nil, err
	}
	open.add("the embedded broker", func(context.Context) error { return broker.Close() })
	r.setBroker(broker.Addr(), broker)
	return folder, []state.Part{state.Broker}, nil
}

// openBroker starts the embedded broker.
func (r *Runner) openBroker(ctx context.Context, folder *state.Folder) (broker *embedded.Broker, err error) {
	err = r.openPart(ctx, func() error {
		broker, err = OpenBroker(ctx, folder, r.plan.Embedded, r.deps.Logger, r.brokerAlarm)
		return err
	})
	return broker, err
}

// openPart opens an embedded part. A short command, such as a publish or a list of
// keys, may have its folder for a moment; a process that runs says so in its run file.
func (r *Runner) openPart(ctx context.Context, open func() error) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := open()
		var taken *state.HeldError
		if !errors.As(err, &taken) || time.Now().After(deadline) {
			return err
		}
		runs, failed := state.Discover(r.deps.StateDir)
		if failed != nil || slices.ContainsFunc(runs, func(run state.Run) bool { return run.PID == taken.PID }) ||
			!clock.Sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// brokerBeside is the address of a `millrace broker` on the same state folder,
// empty where none runs. Another `run` is none: its broker ends with it.
func brokerBeside(dir string) string {
	runs, err := state.Discover(dir)
	if err != nil {
		return ""
	}
	for _, run := range runs {
		if run.Has(state.Broker) && len(run.Pipelines) == 0 && run.Job == "" {
			return run.Broker
		}
	}
	return ""
}

// OpenBroker starts the embedded broker on a state folder. Its error says which
// process has it, or which key to change. alarm, where set, is told what a person
// should know of the log; it must not block.
func OpenBroker(ctx context.Context, folder *state.Folder, listen string, log *slog.Logger,
	alarm func(embedded.Alarm)) (*embedded.Broker, error) {
	b, err := embedded.Open(ctx, embedded.Config{Dir: folder.Path(state.Broker), Listen: listen,
		Partitions: plan.EmbeddedPartitions, Logger: log, OnAlarm: alarm})
	if err != nil {
		return nil, state.Held(err, "the embedded broker")
	}
	return b, nil
}

// announce serves the API on the control socket, and writes the run file.
func announce(ctx context.Context, folder *state.Folder, run state.Run, handler http.Handler, log *slog.Logger,
	open *closers) error {
	private, err := state.NewSocketFolder(os.Getenv("XDG_RUNTIME_DIR"))
	if err != nil {
		return err
	}
	open.add("the control socket's folder", func(context.Context) error { return private.Close() })
	server, err := api.ServeControl(ctx, private.Path(), handler, log)
	if err != nil {
		return err
	}
	open.add("the control socket", server.Close)
	run.Socket = private.Path()
	file, err := folder.Announce(run)
	if err != nil {
		return err
	}
	open.add("the run file", func(context.Context) error { return file.Close() })
	return nil
}

// setBroker says where the embedded broker is, and how to reach it where it is in this
// process.
func (r *Runner) setBroker(addr string, dialer kafka.Dialer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings.Brokers, r.settings.Dialer = []string{addr}, dialer
}

func (r *Runner) broker() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.settings.Brokers) == 0 {
		return ""
	}
	return r.settings.Brokers[0]
}

// RunBroker runs the embedded broker alone until ctx ends, announced on the
// state folder so that other commands find it. It makes the topics that a file
// declares and the broker does not have.
func RunBroker(ctx context.Context, listen string, declared []plan.Topic, deps RunnerDeps) (err error) {
	lasting := context.WithoutCancel(ctx)
	var open closers
	defer func() {
		if errors.As(err, new(goneError)) {
			open.leave("the embedded broker")
		}
		err = errors.Join(err, open.close(lasting))
	}()
	deps.Logger.Info("starting", "memory_limit", deps.Memory, "memory_from", deps.MemoryFrom)
	folder, err := state.Open(deps.StateDir)
	if err != nil {
		return err
	}
	broker, err := OpenBroker(ctx, folder, listen, deps.Logger, nil)
	if err != nil {
		return err
	}
	open.add("the embedded broker", func(context.Context) error { return broker.Close() })
	if err := declare(ctx, broker.Addr(), declared, deps.Logger); err != nil {
		return err
	}
	started := time.Now()
	alone := brokerReporter{version: deps.Version, started: started, addr: broker.Addr()}
	err = announce(lasting, folder, state.Run{
		PID: os.Getpid(), Version: deps.Version, Started: started, Parts: []state.Part{state.Broker},
		Broker: broker.Addr(),
	}, api.Handler(alone, nil), deps.Logger, &open)
	if err != nil {
		return err
	}
	deps.Logger.Info("ready", "broker", broker.Addr())
	return awaitGone(ctx, folder, []state.Part{state.Broker})
}

// declare makes the topics of a `topics:` block that the broker does not have.
func declare(ctx context.Context, broker string, declared []plan.Topic, log *slog.Logger) error {
	if len(declared) == 0 {
		return nil
	}
	named := map[string]int32{}
	for _, t := range declared {
		named[t.Name] = t.Partitions
	}
	admin, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, kafka.Deps{Logger: log})
	if err != nil {
		return fmt.Errorf("make the topics that the file declares: %w", err)
	}
	defer admin.Close()
	if err := makeTopics(ctx, admin, named); err != nil {
		return fmt.Errorf("make the topics that the file declares: %w", err)
	}
	return nil
}

// brokerReporter is the status of a process that runs only the broker.
type brokerReporter struct {
	version string
	started time.Time
	addr    string
}

func (b brokerReporter) Status() api.Status {
	return api.Status{
		PID: os.Getpid(), Version: b.version, Started: b.started, Broker: b.addr, Embedded: true, Ready: true,
		Pipelines: []api.PipelineStatus{},
	}
}
