package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// brokerProcess is a millrace broker.
type brokerProcess struct {
	cmd  *exec.Cmd
	addr string
}

func startBroker(ctx context.Context, binary, dir string) (*brokerProcess, error) {
	state := filepath.Join(dir, "broker")
	cmd := exec.Command(binary, "broker", "--listen", "127.0.0.1:0", "--state", state, "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b := &brokerProcess{cmd: cmd}
	file := filepath.Join(state, "run", fmt.Sprintf("%d.json", cmd.Process.Pid))
	for range 200 {
		var run struct {
			Broker string `json:"broker"`
		}
		if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &run) == nil && run.Broker != "" {
			b.addr = run.Broker
			return b, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), b.stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errors.Join(errors.New("the broker did not start within 10 s"), b.stop())
}

func (b *brokerProcess) stop() error {
	return errors.Join(b.cmd.Process.Signal(syscall.SIGTERM), b.cmd.Wait())
}

func deps() kafka.Deps { return kafka.Deps{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))} }

func makeTopic(ctx context.Context, broker, name string) error {
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, deps())
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = a.CreateTopics(ctx, []string{name}, 6, 1, nil)
	return err
}

// fill writes the records and returns how many pass the filter.
func fill(ctx context.Context, on place, records int) (passed int, err error) {
	if err := makeTopic(ctx, on.broker, source); err != nil {
		return 0, err
	}
	publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: []string{on.broker}}, deps())
	if err != nil {
		return 0, err
	}
	random := rand.New(rand.NewPCG(3, 4))
	var batch []*handlers.Record
	for i := range records {
		amount := random.IntN(100)
		if amount >= 50 {
			passed++
		}
		batch = append(batch, &handlers.Record{
			Topic: source, Partition: -1, Offset: -1, Key: fmt.Append(nil, "customer-", random.IntN(100_000)),
			Value: fmt.Appendf(nil,
				`{"id":"order-%d","amount":%d,"country":"DE","customer":{"id":"c-%d","tier":"gold"},"note":"%0180d"}`,
				i, amount, i%100_000, i),
		})
		if len(batch) == 2000 || i == records-1 {
			if err := publisher.Produce(ctx, batch); err != nil {
				return 0, errors.Join(err, publisher.Close())
			}
			batch = nil
		}
	}
	return passed, publisher.Close()
}

// watch waits until topic holds that many records and returns how long it took
// from the first to the last.
func watch(ctx context.Context, broker, topic string, want int64) (time.Duration, error) {
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: []string{broker}}, deps())
	if err != nil {
		return 0, err
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var began time.Time
	for {
		ends, err := a.EndOffsets(ctx, topic)
		if err != nil {
			return 0, err
		}
		n := int64(0)
		for _, end := range ends[topic] {
			n += end
		}
		switch {
		case n >= want:
			return time.Since(began), nil
		case n > 0 && began.IsZero():
			began = time.Now()
		}
		time.Sleep(25 * time.Millisecond)
	}
}
