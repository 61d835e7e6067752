//go:build unix

// Command testbed starts Apache Kafka and redis-server on loopback, for work by
// hand on the real components, and ends them again.
//
//	go run ./cmd/testbed up      # start what is not running, print its addresses
//	go run ./cmd/testbed down    # end what up started
//	go run ./cmd/testbed fetch   # fetch Kafka's jars, for tests that need them soon
//
// Data and logs stay in the user's cache folder from one up to the next.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/nodejs"
	"github.com/millrace/millrace/pipeline/testbed/process"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// Beside the usual ports, so that neither a Kafka or a Redis of the machine nor
// the embedded broker is in the way.
const kafkaPort, redisPort = 19092, 16379

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

type usageError struct{ got []string }

func (e usageError) Error() string {
	return fmt.Sprintf("want one of up, down, fetch; got %q", e.got)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return usageError{args}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "millrace-testbed", "up")
	switch args[0] {
	case "up":
		return up(ctx, dir, out)
	case "down":
		return down(ctx, dir, out)
	case "fetch":
		jars, err := kafkacluster.Fetch(ctx)
		if err == nil {
			fmt.Fprintln(out, "Kafka's jars are in", jars)
		}
		packages, nodeErr := nodejs.Fetch(ctx)
		if nodeErr == nil {
			fmt.Fprintln(out, "what runs with Node.js is in", packages)
		}
		return errors.Join(err, nodeErr)
	default:
		return usageError{args}
	}
}

// component is what up starts, in a folder below the command's own.
type component struct {
	name, dir string
	start     func(ctx context.Context, dir string) error
}

func components() []component {
	return []component{
		{"Kafka", "kafka/node1", func(ctx context.Context, dir string) error {
			_, err := kafkacluster.Start(ctx, kafkacluster.Options{
				Dir: filepath.Join(dir, "kafka"), Port: kafkaPort, Heap: "512m", Detached: true,
			})
			return err
		}},
		{"Redis", "redis", func(ctx context.Context, dir string) error {
			_, err := redisserver.Start(ctx, redisserver.Options{
				Dir: filepath.Join(dir, "redis"), Port: redisPort, AppendFsync: "everysec", Detached: true,
			})
			return err
		}},
	}
}

func up(ctx context.Context, dir string, out io.Writer) error {
	for _, c := range components() {
		running, err := process.Running(filepath.Join(dir, c.dir))
		if err != nil {
			return err
		}
		if !running {
			if err := c.start(ctx, dir); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, `Kafka is on 127.0.0.1:%[1]d, Redis on 127.0.0.1:%[2]d; their data and logs are in %[3]s.
To run pipelines on them:

kafka:
  brokers: [127.0.0.1:%[1]d]
idempotency:
  store: redis://127.0.0.1:%[2]d/0
`, kafkaPort, redisPort, dir)
	return nil
}

func down(ctx context.Context, dir string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var errs []error
	for _, c := range components() {
		was, err := process.End(ctx, filepath.Join(dir, c.dir))
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("end %s: %w", c.name, err))
		case was:
			fmt.Fprintln(out, c.name, "ended")
		default:
			fmt.Fprintln(out, c.name, "was not running")
		}
	}
	return errors.Join(errs...)
}
