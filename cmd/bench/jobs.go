package main

import (
	"context"
	_ "embed" // for what runs with Node.js
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// job is one way to do the work.
type job struct {
	name, title string
	// command makes the process that does it, for a task.
	command func(t *tools, k *task) (*exec.Cmd, error)
	// ends tells that the process ends by itself.
	ends bool
	// alone tells that it has no group, and commits nothing.
	alone bool
	// delay is that of the receiver that is called, negative where the effects are
	// records of a topic.
	delay time.Duration
	// live tells that latency and large records are measured of it too.
	live bool
}

// task is one run of a job.
type task struct {
	at         *place
	source     string
	group, out string
	receiver   string // URL
}

// jobs are all of them, in the order in which they take turns.
func jobs() []job {
	sink := func(j job) job { j.delay = -1; return j }
	return []job{
		sink(job{name: "sarama", title: "raw sarama loop", command: ownLoop("sarama"), live: true}),
		sink(job{name: "sarama-flush", title: "raw sarama loop, flush 1 ms or 2,000", command: ownLoop("sarama-flush"),
			live: true}),
		sink(job{name: "franz", title: "raw franz-go loop", command: ownLoop("franz"), live: true}),
		sink(job{name: "filter", title: "Millrace: filter", command: millrace(pipeline{}, "run"), live: true}),
		sink(job{name: "keyed", title: "Millrace: filter and key, embedded store",
			command: millrace(pipeline{store: "embedded"}, "run"), live: true}),
		sink(job{name: "keyed-redis", title: "Millrace: filter and key, Redis",
			command: millrace(pipeline{store: "redis"}, "run"), live: true}),
		sink(job{name: "until-end", title: "Millrace: filter, run --until-end", ends: true,
			command: millrace(pipeline{}, "run", "--until-end")}),
		sink(job{name: "replay", title: "Millrace: filter, replay --force", ends: true, alone: true,
			command: millrace(pipeline{}, "replay", "NAME", "--from", "earliest", "--yes", "--force")}),
		sink(job{name: "until-end-keyed", title: "Millrace: filter and key, run --until-end", ends: true,
			command: millrace(pipeline{store: "embedded"}, "run", "--until-end")}),
		sink(job{name: "replay-keyed", title: "Millrace: filter and key, replay of what was never run",
			ends: true, alone: true,
			command: millrace(pipeline{store: "embedded"}, "replay", "NAME", "--from", "earliest", "--yes")}),
		{name: "http", title: "Millrace: filter, http to a receiver that answers at once",
			command: millrace(pipeline{}, "run")},
		{name: "http-20ms", title: "Millrace: filter, http to a receiver that takes 20 ms",
			delay: 20 * time.Millisecond, command: millrace(pipeline{}, "run")},
		sink(job{name: "kafkajs-batch", title: "KafkaJS: eachBatch, six partitions at once",
			command: kafkaJS("eachBatch")}),
		sink(job{name: "kafkajs-message", title: "KafkaJS: eachMessage", command: kafkaJS("eachMessage")}),
	}
}

// tools are what the processes are started with.
type tools struct {
	// dir holds what the runs write; each takes its own away.
	dir          string
	self, binary string
	// node is the folder below which node_modules has KafkaJS.
	node string
}

func newTools(ctx context.Context, o *options) (*tools, error) {
	t := &tools{binary: o.binary}
	var err error
	if t.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if t.dir, err = os.MkdirTemp("", "millrace-bench-"); err != nil {
		return nil, err
	}
	if t.binary != "" {
		return t, nil
	}
	t.binary = filepath.Join(t.dir, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", t.binary,
		"github.com/millrace/millrace/cmd/millrace")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return t, fmt.Errorf("build millrace: %w\n%s", err, out)
	}
	return t, nil
}

// state is a task's state folder.
func (t *tools) state(k *task) string { return filepath.Join(t.dir, "state-"+k.group) }

func (t *tools) file(k *task) string { return filepath.Join(t.dir, k.group+".yaml") }

// start starts a job's process.
func (t *tools) start(j job, k *task) (*process, error) {
	cmd, err := j.command(t, k)
	if err != nil {
		return nil, err
	}
	return start(cmd)
}

// clean takes away what a task left.
func (t *tools) clean(k *task) {
	os.Remove(t.file(k))
	os.RemoveAll(t.state(k))
}

func ownLoop(role string) func(*tools, *task) (*exec.Cmd, error) {
	return func(t *tools, k *task) (*exec.Cmd, error) {
		return exec.Command(t.self, role, strings.Join(k.at.brokers, ","), k.source, k.group, k.out), nil
	}
}

// pipeline is what the file of a job says beside its source.
type pipeline struct {
	// store is embedded or redis, empty where there are no keys.
	store string
}

// millrace runs a command of Millrace on a file with one pipeline; NAME stands for that.
func millrace(p pipeline, args ...string) func(*tools, *task) (*exec.Cmd, error) {
	return func(t *tools, k *task) (*exec.Cmd, error) {
		sink, key, store := fmt.Sprintf("{kafka: {topic: %s}}", k.out), "", "embedded"
		if k.receiver != "" {
			sink = fmt.Sprintf("{http: {url: %q}}", k.receiver)
		}
		if p.store != "" {
			key = "idempotency: {key: 'order:${payload.id}'}"
		}
		if p.store == "redis" {
			store = k.at.redis
		}
		text := fmt.Sprintf(`version: 1
kafka: {brokers: [%s]}
idempotency: {store: %q, ttl: 1h}
server: {health: '127.0.0.1:0'}
pipelines:
  %s:
    source: {topic: %s}
    filter: payload.amount >= 50
    %s
    sinks: [%s]
    dead_letter: off
`, strings.Join(k.at.brokers, ", "), store, k.group, k.source, key, sink)
		if err := os.WriteFile(t.file(k), []byte(text), 0o600); err != nil {
			return nil, err
		}
		var full []string
		for _, arg := range args {
			full = append(full, strings.ReplaceAll(arg, "NAME", k.group))
		}
		return exec.Command(t.binary, append(full, "-f", t.file(k), "--state", t.state(k), "-q")...), nil
	}
}

//go:embed kafkajs.cjs
var kafkaScript string

// kafkaJS is the job with KafkaJS, as its documentation shows it.
func kafkaJS(mode string) func(*tools, *task) (*exec.Cmd, error) {
	return func(t *tools, k *task) (*exec.Cmd, error) {
		script := filepath.Join(t.dir, "kafkajs.cjs")
		if err := os.WriteFile(script, []byte(kafkaScript), 0o600); err != nil {
			return nil, err
		}
		if err := t.fetchNode(); err != nil {
			return nil, err
		}
		cmd := exec.Command("node", script, mode, strings.Join(k.at.brokers, ","), k.source, k.group, k.out)
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(t.node, "node_modules"),
			"KAFKAJS_NO_PARTITIONER_WARNING=1")
		return cmd, nil
	}
}
