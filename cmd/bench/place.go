package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/nodejs"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// place is a broker, and a Redis, on which all is measured.
type place struct {
	name, title string
	brokers     []string
	redis       string
	// brokerPIDs and redisPIDs are their processes, none where others run them.
	brokerPIDs, redisPIDs []int
	cluster               *cluster
	// server is the Redis where it is the bench's own, nil otherwise.
	server *redisserver.Server
	ends   []func() error
}

const embeddedTitle = "the embedded broker"

// openPlace starts what a place of that name needs. Close must be called, also on
// an error.
func openPlace(ctx context.Context, name string, o *options, t *tools) (*place, error) {
	p := &place{name: name, redis: o.redis}
	err := p.startBroker(ctx, o, t)
	if err == nil && p.redis == "" && o.needsRedis() {
		err = p.startRedis(ctx)
	}
	if err == nil {
		replicas := int16(1)
		if p.name == "cluster" {
			replicas = -1
		}
		p.cluster, err = connect(p.brokers, o.partitions, replicas)
	}
	if err == nil && p.name != "embedded" {
		p.title += " " + p.cluster.version(ctx)
	}
	return p, err
}

func (p *place) startBroker(ctx context.Context, o *options, t *tools) error {
	switch p.name {
	case "embedded":
		p.title = embeddedTitle
		return p.startEmbedded(ctx, t)
	case "kafka":
		p.title = "Apache Kafka"
		k, err := kafkacluster.Start(ctx, kafkacluster.Options{Heap: "1g"})
		if err != nil {
			return err
		}
		p.ends = append(p.ends, k.Close)
		p.brokers, p.brokerPIDs = k.Brokers(), children("java")
		return nil
	default:
		p.title, p.brokers = "the cluster", strings.FieldsFunc(o.brokers, comma)
		return nil
	}
}

func (p *place) startRedis(ctx context.Context) error {
	r, err := redisserver.Start(ctx, redisserver.Options{AppendFsync: "everysec"})
	if err != nil {
		return err
	}
	p.ends = append(p.ends, r.Close)
	p.server, p.redis, p.redisPIDs = r, r.URL(), children("redis-server")
	return nil
}

// startEmbedded starts a millrace broker in a process of its own.
func (p *place) startEmbedded(ctx context.Context, t *tools) error {
	state := filepath.Join(t.dir, "broker")
	broker, err := start(exec.Command(t.binary, "broker", "--listen", "127.0.0.1:0", "--state", state, "-q"))
	if err != nil {
		return err
	}
	p.ends = append(p.ends, broker.stop, func() error { return os.RemoveAll(state) })
	p.brokerPIDs = []int{broker.pid()}
	file := filepath.Join(state, "run", fmt.Sprintf("%d.json", broker.pid()))
	return patiently(ctx, 30*time.Second, "the broker's address", func() error {
		var run struct {
			Broker string `json:"broker"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &run)
		}
		switch {
		case broker.ended():
			return errEnded
		case err != nil:
			return err
		case run.Broker == "":
			return errors.New("it is not there yet")
		}
		p.brokers = []string{run.Broker}
		return nil
	})
}

// fresh empties the bench's own Redis, so that no run pays for the keys of another.
func (p *place) fresh(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	_, err := p.server.Run(ctx, "FLUSHALL")
	return err
}

// fetchNode makes sure that KafkaJS is there.
func (t *tools) fetchNode() (err error) {
	if t.node == "" {
		t.node, err = nodejs.Fetch(context.Background())
	}
	return err
}

// restartRedis stops the bench's own Redis and starts it again, and returns how long it
// took until it answered with all that it had.
func (p *place) restartRedis(ctx context.Context) (time.Duration, error) {
	if err := p.server.Stop(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := p.server.Start(ctx); err != nil {
		return 0, err
	}
	p.redisPIDs = children("redis-server")
	err := patiently(ctx, 5*time.Minute, "Redis", func() error {
		_, err := p.server.Run(ctx, "GET", "millrace-bench")
		return err
	})
	return time.Since(began), err
}

// redisFile is the size of the bench's own Redis's append-only file, in MB.
func (p *place) redisFile(ctx context.Context) (float64, error) {
	text, err := p.server.Run(ctx, "INFO", "persistence")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if size, ok := strings.CutPrefix(strings.TrimSpace(line), "aof_current_size:"); ok {
			bytes, err := strconv.ParseFloat(size, 64)
			return bytes / (1 << 20), err
		}
	}
	return 0, errors.New("Redis tells no aof_current_size")
}

func (p *place) close() error {
	var errs []error
	if p.cluster != nil {
		p.cluster.close()
	}
	for _, end := range slices.Backward(p.ends) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

var errEnded = errors.New("the process ended")

// patiently tries until it works, the process has ended, or time is up.
func patiently(ctx context.Context, limit time.Duration, what string, try func() error) error {
	end := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if errors.Is(err, errEnded) || time.Now().After(end) {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}
