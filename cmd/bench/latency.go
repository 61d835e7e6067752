package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// latencyFigures are how long it took from the time at which a record was due to be
// sent to its effect in the hands of a consumer, in milliseconds.
type latencyFigures struct {
	Place string  `json:"place"`
	Job   string  `json:"job"`
	Title string  `json:"title"`
	Rate  int     `json:"records_per_second"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	// CPU is the share of a core that the job's process took.
	CPU float64 `json:"cpu_cores"`
}

// topicAlone is no job: its records are read where they are written. It is what the
// broker and the bench take of every latency.
const topicAlone = "topic"

// latencyRates are in records a second.
var latencyRates = []int{1000, 5000}

func latencies(ctx context.Context, p *place, o *options, t *tools) ([]latencyFigures, error) {
	chosen := append([]job{{name: topicAlone, title: "no job: written and read", delay: -1}},
		o.named(func(j job) bool { return j.live }, true)...)
	var all []latencyFigures
	runs := map[string][]latencyFigures{}
	for round := range o.rounds {
		for _, rate := range latencyRates {
			for _, j := range chosen {
				f, err := latency(ctx, p, o, t, j, rate)
				if err != nil {
					return nil, fmt.Errorf("%s at %d/s: %w", j.name, rate, err)
				}
				say("%s, round %d of %d, %s at %d/s: p50 %.2f ms, p99 %.2f, p99.9 %.2f", p.name, round+1, o.rounds,
					j.name, rate, f.P50, f.P99, f.P999)
				name := fmt.Sprint(j.name, rate)
				runs[name] = append(runs[name], f)
				if round == 0 {
					all = append(all, f)
				}
			}
		}
	}
	for i, f := range all {
		same := runs[fmt.Sprint(f.Job, f.Rate)]
		of := func(get func(latencyFigures) float64) float64 {
			var values []float64
			for _, each := range same {
				values = append(values, get(each))
			}
			return median(values)
		}
		all[i].P50 = of(func(f latencyFigures) float64 { return f.P50 })
		all[i].P99 = of(func(f latencyFigures) float64 { return f.P99 })
		all[i].P999 = of(func(f latencyFigures) float64 { return f.P999 })
		all[i].CPU = of(func(f latencyFigures) float64 { return f.CPU })
	}
	return all, nil
}

// warmUp is how long records are sent before those that count.
const warmUp = 2 * time.Second

func latency(ctx context.Context, p *place, o *options, t *tools, j job, rate int) (f latencyFigures, err error) {
	name := fmt.Sprintf("bench-latency-%s-%d", j.name, time.Now().UnixNano())
	k := &task{at: p, source: name + "-in", group: name, out: name + "-out"}
	defer t.clean(k)
	if err := p.cluster.create(ctx, k.source, k.out); err != nil {
		return f, err
	}
	defer p.cluster.drop(context.WithoutCancel(ctx), k.source, k.out)
	defer p.cluster.dropGroups(context.WithoutCancel(ctx), k.group)
	var worker *process
	read := k.source
	if j.name != topicAlone {
		read = k.out
		if worker, err = t.start(j, k); err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, worker.stop()) }()
	}
	reading := &arrivals{want: make([]time.Duration, 0, rate*int(o.latency.Seconds()+1))}
	if err := reading.start(p.cluster.brokers, read); err != nil {
		return f, err
	}
	defer reading.stop()
	if err := reading.await(ctx, p.cluster, k.source, worker); err != nil {
		return f, err
	}
	counted, cores, err := pace(ctx, p.cluster.brokers, k.source, rate, o.latency, worker)
	if err != nil {
		return f, err
	}
	took, err := reading.all(ctx, counted)
	if err != nil {
		return f, err
	}
	slices.Sort(took)
	at := func(share float64) float64 { return float64(took[int(share*float64(len(took)-1))]) / 1e6 }
	return latencyFigures{Place: p.title, Job: j.name, Title: j.title, Rate: rate, P50: at(.5), P99: at(.99),
		P999: at(.999), CPU: cores}, nil
}

// pace sends records at a fixed rate, each due at a millisecond, whether or not the ones
// before are through. It returns how many count, and the cores that the job took.
func pace(ctx context.Context, brokers []string, topic string, rate int, length time.Duration,
	worker *process) (counted int, cores float64, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableClientMetrics())
	if err != nil {
		return 0, 0, err
	}
	defer client.Close()
	began := time.Now()
	var before usage
	sent, beforeAt := 0, began
	for due := began; due.Sub(began) < warmUp+length; due = due.Add(time.Millisecond) {
		time.Sleep(time.Until(due))
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		counts := due.Sub(began) >= warmUp
		if counts && counted == 0 && worker != nil {
			before, beforeAt = usageOf(worker.pid()), time.Now()
		}
		for upTo := int(due.Sub(began).Milliseconds()+1) * rate / 1000; sent < upTo; sent++ {
			r := &kgo.Record{Key: fmt.Append(nil, "customer-", sent%1000), Value: order(sent, 99, sent%1000, 300)}
			if counts {
				counted++
				r.Value = stamped(r.Value, due)
			}
			client.Produce(ctx, r, nil)
		}
	}
	if worker != nil {
		cores = (usageOf(worker.pid()).cpu - before.cpu).Seconds() / time.Since(beforeAt).Seconds()
	}
	return counted, cores, client.Flush(ctx)
}

// stamped is an order with the time at which it was due, which is kept by every job.
func stamped(value []byte, due time.Time) []byte {
	return fmt.Appendf(value[:len(value)-1], `,"due":%d}`, due.UnixNano())
}

// arrivals reads effects as they come.
type arrivals struct {
	client *kgo.Client
	reader sync.WaitGroup

	mu     sync.Mutex
	probes int
	want   []time.Duration
}

func (a *arrivals) start(brokers []string, topic string) (err error) {
	a.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	a.reader.Go(func() {
		for {
			fetches := a.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			now := time.Now().UnixNano()
			a.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) {
				if due := gjson.GetBytes(r.Value, "due").Int(); due > 0 {
					a.want = append(a.want, time.Duration(now-due))
				} else {
					a.probes++
				}
			})
			a.mu.Unlock()
		}
	})
	return nil
}

func (a *arrivals) stop() {
	a.client.Close()
	a.reader.Wait()
}

func (a *arrivals) seen() (probes, counted int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.probes, len(a.want)
}

// await sends a record to every partition until effects come of all.
func (a *arrivals) await(ctx context.Context, c *cluster, topic string, worker *process) error {
	next := uint32(0)
	return patiently(ctx, startLimit, "the first effects", func() error {
		if worker != nil && worker.ended() {
			return errors.Join(errEnded, worker.failure())
		}
		if probes, _ := a.seen(); probes >= 4*c.partitions {
			return nil
		}
		r := &kgo.Record{Topic: topic, Key: binary.BigEndian.AppendUint32(nil, next),
			Value: order(int(next), 99, 0, 300)}
		next++
		if err := c.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
		return errors.New("too few came")
	})
}

// all waits for that many effects, and returns how long each took.
func (a *arrivals) all(ctx context.Context, want int) ([]time.Duration, error) {
	err := patiently(ctx, 20*time.Second, "the last effects", func() error {
		if _, counted := a.seen(); counted < want {
			return fmt.Errorf("%d of %d effects came", counted, want)
		}
		return nil
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.want), err
}
