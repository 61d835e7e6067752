//go:build real

package cmd

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

func TestRealReplay(t *testing.T) {
	t.Parallel()
	testReplay(t, kafkaAndRedis(t), 50_000)
}

func TestRealJobs(t *testing.T) {
	testJobs(t, kafkaAndRedis(t))
}

func TestRealReplayIsKilled(t *testing.T) {
	t.Parallel()
	testReplayIsKilled(t, kafkaAndRedis(t), 20_000)
}

// Two machines begin a replay of the same pipeline at once: one does it, the other one
// says who.
func TestRealReplayTwice(t *testing.T) {
	t.Parallel()
	b := kafkaAndRedis(t)
	b.create(t, 6, "orders", "invoices")
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		write(t, dir, "pipelines.yaml", replayFile(b))
	}
	f := replayOrders(b, 5000)
	b.send(t, "", f.records)
	for range 3 {
		var codes []int
		var said []string
		var all []*process
		for _, dir := range dirs {
			all = append(all, launch(t, dir, "replay", b.name("invoices"), "--yes", "--from", "earliest", "--forgotten", "--rate", "5000"))
		}
		for _, p := range all {
			<-p.done
			codes, said = append(codes, p.cmd.ProcessState.ExitCode()), append(said, p.log())
		}
		slices.Sort(codes)
		if !slices.Equal(codes, []int{0, 1}) || !strings.Contains(strings.Join(said, ""), "has a job already") {
			t.Fatalf("exit codes %v:\n%s", codes, strings.Join(said, "\n---\n"))
		}
	}
	if n := len(readAll(t, b.brokers[0], b.name("invoices"))); n != 5000 {
		t.Errorf("%d effects of 5000", n)
	}
}

// A replay beside the live group does not hold up its records.
func TestRealReplayBesideLiveRecords(t *testing.T) {
	b := kafkaAndRedis(t)
	b.create(t, 6, "orders", "invoices")
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", replayFile(b))
	p := start(t, dir, "run")
	f := replayOrders(b, 50_000)
	b.send(t, "", f.records)
	b.ended(t, p)
	alone := b.latency(t, 0, 5*time.Second, nil)
	var replays atomic.Int64
	beside := b.latency(t, 1_000_000, 8*time.Second, func(stop <-chan struct{}) {
		for {
			select {
			case <-stop:
				return
			default:
				told(t, dir, 0, "", "replay", b.name("invoices"), "--yes", "--from", "earliest", "--to", "-30m")
				replays.Add(1)
			}
		}
	})
	t.Logf("p50, p99 and the most from produce to effect: alone %v, beside %d replays of 50,000 %v", alone, replays.Load(), beside)
	if replays.Load() == 0 {
		t.Error("no replay ended while records were measured")
	}
}

// latency sends 500 orders a second for a while, and is how long their effects took.
func (b bed) latency(t *testing.T, from int, during time.Duration, beside func(stop <-chan struct{})) [3]time.Duration {
	t.Helper()
	n := int(during.Seconds() * 500)
	sent := make([]atomic.Int64, n)
	took := make([]time.Duration, 0, n)
	reader, err := kafka.NewReader(kafka.Settings{Brokers: b.brokers}, kafka.Deps{Logger: discard()}, b.name("invoices"),
		kafka.ReadOptions{Since: time.Now(), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if beside != nil {
			beside(stop)
		}
	}()
	go func() {
		publisher, err := kafka.NewPublisher(kafka.Settings{Brokers: b.brokers}, kafka.Deps{Logger: discard()})
		if err != nil {
			t.Error(err)
			return
		}
		defer publisher.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; i < n; {
			<-tick.C
			var batch []*handlers.Record
			for range min(10, n-i) {
				seq := from + i
				sent[i].Store(time.Now().UnixNano())
				batch = append(batch, &handlers.Record{Topic: b.name("orders"), Partition: -1, Key: fmt.Append(nil, "live-", seq),
					Value: fmt.Appendf(nil, `{"order_id": "live-%d", "status": "purchased", "seq": %d}`, seq, i)})
				i++
			}
			if err := publisher.Produce(t.Context(), batch); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for len(took) < n {
		records, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			var o order
			decode(t, r.Value, &o)
			if strings.HasPrefix(o.OrderID, "live-") {
				took = append(took, time.Duration(time.Now().UnixNano()-sent[o.Seq].Load()))
			}
		}
	}
	close(stop)
	<-ended
	slices.Sort(took)
	return [3]time.Duration{took[n/2], took[n*99/100], took[n-1]}
}
