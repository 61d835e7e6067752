package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/state"
	"github.com/millrace/millrace/pipeline/topics"
)

// cluster is the Kafka that a command talks to, and how it found it.
type cluster struct {
	settings kafka.Settings
	admin    *kafka.Admin
	// embedded tells that it is the embedded broker.
	embedded bool
	// plan is the configuration, nil where there is none.
	plan  *plan.Plan
	close func() error
	// own tells that the command opened the folder itself, since nothing runs
	// on it: a run can't start before it is given back.
	own bool
}

// connect finds the configuration's Kafka: the cluster that it names, else the
// embedded broker of a process that runs on the state folder, else the folder
// itself, on which it opens the broker for as long as the command takes.
func (a *app) connect(ctx context.Context, pid int, of uses) (*cluster, error) {
	plan, err := a.planOf(of)
	if err != nil {
		return nil, err
	}
	return a.connectTo(ctx, plan, pid)
}

// connectToRead is connect for a command that makes no topic: it makes no folder
// either.
func (a *app) connectToRead(ctx context.Context, pid int) (*cluster, error) {
	plan, err := a.planOf(only("kafka"))
	if err != nil {
		return nil, err
	}
	return a.look(ctx, plan, pid)
}

// planOf loads what a command uses, nil where there is no configuration.
func (a *app) planOf(of uses) (*plan.Plan, error) {
	if !a.hasConfig() {
		return nil, nil
	}
	part, err := a.loadPart(of)
	return part.Plan, err
}

// connectTo is connect for a configuration that was loaded, or none.
func (a *app) connectTo(ctx context.Context, plan *plan.Plan, pid int) (*cluster, error) {
	log, err := a.clientLogger()
	if err != nil {
		return nil, err
	}
	c := &cluster{close: func() error { return nil }, embedded: true}
	listen := "127.0.0.1:0"
	if plan != nil {
		c.plan, c.settings, c.embedded = plan, plan.Kafka, plan.Embedded != ""
	}
	if c.embedded {
		if err := a.findBroker(ctx, c, pid, listen, log); err != nil {
			return nil, err
		}
	}
	if c.admin, err = kafka.NewAdmin(c.settings, kafka.Deps{Logger: log}); err != nil {
		return nil, errors.Join(err, c.close())
	}
	broker := c.close
	c.close = func() error { c.admin.Close(); return broker() }
	if err := a.reach(ctx, c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// startPatience is how long a command waits for a process that is just starting
// or ending to say so or to let go of the folder.
const startPatience = 10 * time.Second

func (a *app) findBroker(ctx context.Context, c *cluster, pid int, listen string, log *slog.Logger) error {
	for deadline := time.Now().Add(startPatience); ; {
		runs, err := a.processes(pid)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if run.Broker != "" {
				c.settings.Brokers = []string{run.Broker}
				return nil
			}
		}
		if a.nowhere() {
			return fmt.Errorf("there is neither a %s nor a state folder %s here: go to the folder of your "+
				"configuration, or name it with -f", a.configFiles()[0], a.state())
		}
		folder, err := state.Open(a.state())
		if err != nil {
			return err
		}
		broker, err := pipeline.OpenBroker(ctx, folder, listen, log, nil)
		if err == nil {
			c.settings.Brokers, c.close, c.own = []string{broker.Addr()}, broker.Close, true
			return nil
		}
		if held := new(state.HeldError); !errors.As(err, &held) || time.Now().After(deadline) || !pause(ctx) {
			return err
		}
	}
}

// pause waits a moment and tells whether ctx has not ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(100 * time.Millisecond):
		return true
	}
}

// hasConfig tells whether there is a configuration: one that -f names must be
// there, the default may be missing.
func (a *app) hasConfig() bool {
	if len(a.files) > 0 {
		return true
	}
	_, err := os.Stat(a.configFiles()[0])
	return !errors.Is(err, fs.ErrNotExist)
}

// nowhere tells that nothing says where to look: there is no configuration, and
// no state folder that a broker could lie in.
func (a *app) nowhere() bool {
	if a.stateDir != "" || a.hasConfig() {
		return false
	}
	_, err := os.Stat(a.state())
	return errors.Is(err, fs.ErrNotExist)
}

// processes are those that run on the state folder, or just the one named.
func (a *app) processes(pid int) ([]state.Run, error) {
	runs, err := state.Discover(a.state())
	if err != nil || pid == 0 {
		return runs, err
	}
	for _, run := range runs {
		if run.PID == pid {
			return []state.Run{run}, nil
		}
	}
	return nil, fmt.Errorf("no process %d runs on %s", pid, a.state())
}

// clientLogger logs what a short command's clients say: only what is wrong,
// unless a lower level was asked for.
func (a *app) clientLogger() (*slog.Logger, error) {
	quiet := *a
	if quiet.logLevel == "info" {
		quiet.logLevel = "error"
	}
	log, err := quiet.logger()
	return a.redactor.Logger(log), err
}

// ensureTopic makes sure that a topic exists, or says what to do.
func (c *cluster) ensureTopic(ctx context.Context, name string, create bool) error {
	found, err := c.admin.Topics(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, t := range found {
		if t.Name == name {
			return nil
		}
		names = append(names, t.Name)
	}
	if create {
		partitions := 0
		if c.embedded {
			partitions = plan.EmbeddedPartitions
		}
		_, err := c.admin.CreateTopics(ctx, []string{name}, partitions, 0, nil)
		return err
	}
	return missingTopicError(missingTopic(name, names, c.plan))
}

// missingTopicError is a topic that does not exist.
type missingTopicError string

func (e missingTopicError) Error() string { return string(e) }

// missingTopic says of a topic that does not exist what might be meant, or how
// it comes about.
func missingTopic(name string, there []string, plan *plan.Plan) string {
	text := fmt.Sprintf("topic %q does not exist", name)
	named := plan != nil && slices.ContainsFunc(topics.Wanted(plan), func(w topics.Want) bool { return w.Name == name })
	near := diag.Nearest(name, there)
	switch {
	case named && plan.Embedded != "":
		return text + " yet: `millrace run` makes it, and `millrace topics apply`"
	case named:
		return text + " yet: make it with `millrace topics apply`"
	case near != "":
		return text + fmt.Sprintf(" (did you mean %q?)", near)
	case len(there) == 0:
		return text + ", nor does any other"
	}
	if more := len(there) - 10; more > 0 {
		there = append(slices.Clone(there[:10]), fmt.Sprintf("and %d more", more))
	}
	return text + "; those that do: " + strings.Join(there, ", ")
}

// look is connectTo for a command that only reads: where nothing runs and no
// broker ever ran on the state folder, there is nothing to read, and the folder
// is not made.
func (a *app) look(ctx context.Context, plan *plan.Plan, pid int) (*cluster, error) {
	if !a.nowhere() && (plan == nil || plan.Embedded != "") {
		runs, err := a.processes(pid)
		if err != nil {
			return nil, err
		}
		_, err = os.Stat(filepath.Join(a.state(), string(state.Broker)))
		if errors.Is(err, fs.ErrNotExist) && !slices.ContainsFunc(runs,
			func(r state.Run) bool { return r.Broker != "" }) {
			return nil, fmt.Errorf("there are no topics: no broker runs, or ever ran, on %s; start one with "+
				"`millrace run`", a.state())
		}
	}
	return a.connectTo(ctx, plan, pid)
}
