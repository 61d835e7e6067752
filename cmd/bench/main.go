// Command bench measures Millrace beside loops that one would write by hand, on the same
// brokers, in the same run: JSON records of about 300 bytes through a filter that passes
// half of them, acks from all, offsets committed.
//
//	go run ./cmd/bench                                   # all of it: Java 17, redis-server and npm are needed
//	go run ./cmd/bench -on embedded -only filter,keyed   # two jobs, on the embedded broker
//	go run ./cmd/bench -only latency -o bench.json       # takes this part of the file's place
//	BENCH_BROKERS=kafka-1:9092 go run ./cmd/bench -redis redis://host:6379/0
//	go run ./cmd/bench -report docs/bench.json           # writes what the docs show of a file
//
// The figure to compare is CPU seconds per million records read: that of the job's own
// process, user and system. Broker, Redis, bench and job share the machine, which bounds
// records per second. docs/performance.md says how each figure comes about.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the bench, or one of the processes that it starts.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "sarama", "sarama-flush":
			return rawSarama(ctx, args[0] == "sarama-flush", args[1:])
		case "franz":
			return rawFranz(ctx, args[1:])
		case "receiver":
			return receive(ctx, args[1:])
		}
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.report != "" {
		return writeReport(".", o.report)
	}
	return bench(ctx, o)
}

// options are what the flags say.
type options struct {
	only, on        []string
	brokers, redis  string
	records, rounds int
	limit, latency  time.Duration
	keys, pipelines int
	partitions      int
	binary          string
	out, report     string
}

func parse(args []string) (*options, error) {
	o := &options{}
	var only, on string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&only, "only", "", "measure these alone, with commas between them: "+strings.Join(names(), " "))
	flags.StringVar(&on, "on", "embedded,kafka", "the brokers: the embedded one, and an Apache Kafka started for it")
	flags.StringVar(&o.brokers, "brokers", os.Getenv("BENCH_BROKERS"),
		"measure on this cluster instead, host:port with commas between them; also BENCH_BROKERS")
	flags.StringVar(&o.redis, "redis", "", "take this Redis for the keys, and start none: redis://host:6379/0")
	flags.IntVar(&o.records, "records", 1_000_000, "records that each job reads in a round")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds, in which the jobs take turns; the medians are shown")
	flags.DurationVar(&o.limit, "limit", 15*time.Second, "cut a job off after that long, and scale")
	flags.DurationVar(&o.latency, "latency-time", 10*time.Second, "how long each latency is measured")
	flags.IntVar(&o.keys, "keys", 1_000_000, "keys that are put into each store")
	flags.IntVar(&o.pipelines, "pipelines", 1000, "pipelines of the process that has many")
	flags.IntVar(&o.partitions, "partitions", 6, "partitions of each topic")
	flags.StringVar(&o.binary, "binary", "", "the millrace to measure; without it, one is built")
	flags.StringVar(&o.out, "o", "", "keep the figures in this file; parts that are not measured now stay as they are")
	flags.StringVar(&o.report, "report", "", "measure nothing: write what the docs show of this file")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("it takes no arguments, and was given %q", flags.Args())
	}
	if o.records < 100 || o.rounds < 1 || o.keys < 1 || o.pipelines < 1 || o.partitions < 1 {
		return nil, errors.New("-records is at least 100, -rounds, -keys, -pipelines and -partitions at least 1")
	}
	o.on = strings.FieldsFunc(on, comma)
	for _, name := range o.on {
		if name != "embedded" && name != "kafka" {
			return nil, fmt.Errorf("-on %s: want embedded or kafka", name)
		}
	}
	o.only = strings.FieldsFunc(only, comma)
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("-only %s: want some of %s", name, strings.Join(names(), " "))
		}
	}
	return o, nil
}

func comma(r rune) bool { return r == ',' || r == ' ' }

// parts are what is measured beside the jobs.
var parts = []string{"latency", "idle", "pipelines", "sizes", "keys"}

// names are those that -only takes.
func names() []string {
	all := []string{"jobs"}
	for _, j := range jobs() {
		all = append(all, j.name)
	}
	return append(all, parts...)
}

// wants tells whether a part is to be measured.
func (o *options) wants(part string) bool { return len(o.only) == 0 || slices.Contains(o.only, part) }

// jobs are those to be measured.
func (o *options) jobs() []job {
	if o.wants("jobs") {
		return jobs()
	}
	return o.named(func(job) bool { return true }, false)
}

// needsRedis tells whether something that is to be measured has its keys there.
func (o *options) needsRedis() bool {
	inRedis := func(j job) bool { return j.name == "keyed-redis" }
	parts := o.wants("latency") || o.wants("sizes")
	return o.wants("idle") || o.wants("keys") || slices.ContainsFunc(o.jobs(), inRedis) ||
		parts && slices.ContainsFunc(o.named(func(j job) bool { return j.live }, true), inRedis)
}

// named are the jobs of -only that fit, or all that fit where it names none and
// otherAll is set.
func (o *options) named(fits func(job) bool, otherwiseAll bool) []job {
	var chosen, all []job
	for _, j := range jobs() {
		if !fits(j) {
			continue
		}
		all = append(all, j)
		if slices.Contains(o.only, j.name) {
			chosen = append(chosen, j)
		}
	}
	if len(chosen) == 0 && otherwiseAll {
		return all
	}
	return chosen
}
