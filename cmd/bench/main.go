// Command bench measures the road beside a raw sarama loop, on the same broker
// and in the same run: JSON records of about 300 bytes through a filter that
// passes half of them to another topic, acks from all, offsets committed.
//
//	go run ./cmd/bench [-records 500000] [-rounds 3]            # embedded broker
//	go run ./cmd/bench -cluster                                 # Apache Kafka and Redis, started for it
//	go run ./cmd/bench -brokers localhost:9092 -redis redis://localhost:6379/0
//
// The figure to compare is CPU seconds per million records read: that of the
// runner's process alone, user and system. Broker and runner share the machine,
// which bounds records per second.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "raw" {
		err = raw(ctx, os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	} else {
		err = bench(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// variant is one way to do the job.
type variant struct {
	name string
	// command makes the process that reads `in` as group and writes out; it
	// runs in dir.
	command func(dir, broker, group, out string) (*exec.Cmd, error)
}

// figures are what one run showed.
type figures struct {
	rate, cpu, rss float64
}

func bench(ctx context.Context) error {
	records := flag.Int("records", 500_000, "records to send through")
	rounds := flag.Int("rounds", 3, "rounds; the medians are printed")
	var on place
	flag.BoolVar(&on.cluster, "cluster", false, "start Apache Kafka and Redis, and measure on them")
	flag.StringVar(&on.broker, "brokers", "", "measure on this broker, host:port; with -redis")
	flag.StringVar(&on.redis, "redis", "", "the Redis of the keys, redis://host:6379/0")
	flag.Parse()
	dir, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/millrace")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build millrace: %w", err)
	}
	end, err := on.open(ctx, binary, dir)
	if err != nil {
		return err
	}
	return errors.Join(compare(ctx, on, binary, dir, *records, *rounds), end())
}

func compare(ctx context.Context, on place, binary, dir string, records, rounds int) error {
	passed, err := fill(ctx, on, records)
	if err != nil {
		return err
	}
	fmt.Printf("%s; %d records, %d pass the filter; %d rounds\n", on.name, records, passed, rounds)
	all := variants(binary, on)
	measured := make([][]figures, len(all))
	for round := range rounds {
		for i, v := range all {
			f, err := measure(ctx, v, dir, on, round, records, passed)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			measured[i] = append(measured[i], f)
		}
	}
	return print(all, measured)
}

func print(all []variant, measured [][]figures) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "records/s\tCPU-s/M\tRSS MB\t")
	for i, v := range all {
		pick := func(of func(figures) float64) float64 {
			var values []float64
			for _, f := range measured[i] {
				values = append(values, of(f))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		fmt.Fprintf(table, "%.0f\t%.2f\t%.0f\t  %s\n",
			pick(func(f figures) float64 { return f.rate }), pick(func(f figures) float64 { return f.cpu }),
			pick(func(f figures) float64 { return f.rss }), v.name)
	}
	return table.Flush()
}

func variants(binary string, on place) []variant {
	store, kind := "embedded", "embedded store"
	if on.redis != "" {
		store, kind = on.redis, "Redis"
	}
	return []variant{
		{"raw sarama loop: group, filter, idempotent AsyncProducer",
			func(dir, broker, group, out string) (*exec.Cmd, error) {
				self, err := os.Executable()
				return exec.Command(self, "raw", broker, source, group, out), err
			}},
		{"millrace: filter, kafka sink", func(dir, broker, group, out string) (*exec.Cmd, error) {
			return pipelineCommand(binary, dir, broker, store, group, out, "")
		}},
		{"millrace: filter, idempotency key (" + kind + "), kafka sink",
			func(dir, broker, group, out string) (*exec.Cmd, error) {
				return pipelineCommand(binary, dir, broker, store, group, out, "idempotency: {key: 'k:${payload.id}'}")
			}},
	}
}

func pipelineCommand(binary, dir, broker, store, group, out, key string) (*exec.Cmd, error) {
	file := filepath.Join(dir, group+".yaml")
	text := fmt.Sprintf(`version: 1
kafka: {brokers: [%q]}
idempotency: {store: %q}
pipelines:
  %s:
    source: {topic: `+source+`, group: %s}
    filter: payload.amount >= 50
    %s
    sinks: [{kafka: {topic: %s}}]
    dead_letter: off
`, broker, store, group, group, key, out)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "-f", file, "--state", filepath.Join(dir, "state-"+group), "-q")
	return cmd, nil
}

// measure runs one variant once, from its first output to its last.
func measure(ctx context.Context, v variant, dir string, on place, round, records, passed int) (figures, error) {
	group := fmt.Sprintf("g%d-%d", round, time.Now().UnixNano())
	out := "out-" + group
	if err := makeTopic(ctx, on.broker, out); err != nil {
		return figures{}, err
	}
	cmd, err := v.command(dir, on.broker, group, out)
	if err != nil {
		return figures{}, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return figures{}, err
	}
	took, err := watch(ctx, on.broker, out, int64(passed))
	if err := errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		return figures{}, err
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figures{
		rate: float64(records) / took.Seconds(),
		cpu:  cpu.Seconds() / float64(records) * 1e6,
		rss:  float64(usage.Maxrss) / 1024,
	}, nil
}
