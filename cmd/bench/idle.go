package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// idleFigures are what a process takes that has nothing to do.
type idleFigures struct {
	Place string `json:"place"`
	Title string `json:"title"`
	// Ready is in seconds from the start until /readyz says so.
	Ready float64 `json:"ready_s"`
	RSS   float64 `json:"rss_mb"`
	// CPU is the share of a core.
	CPU float64 `json:"cpu_cores"`
}

// idleTopic is one that nothing is written to.
const idleTopic = "bench-idle"

func idle(ctx context.Context, p *place, o *options, t *tools) ([]idleFigures, error) {
	if err := p.cluster.create(ctx, idleTopic, idleTopic+"-out"); err != nil {
		return nil, err
	}
	defer p.cluster.drop(context.WithoutCancel(ctx), idleTopic, idleTopic+"-out")
	brokers := fmt.Sprintf("kafka: {brokers: [%s]}\n", strings.Join(p.brokers, ", "))
	const key = "'k:${payload.id}'"
	type shape struct{ title, head, key string }
	cases := []shape{
		{"one pipeline", brokers, ""},
		{"one pipeline with keys, embedded store", brokers + "idempotency: {store: embedded}\n", key},
		{"one pipeline with keys, Redis", brokers + fmt.Sprintf("idempotency: {store: %q}\n", p.redis), key},
	}
	if p.name == "embedded" {
		own := "kafka: {embedded: {listen: '127.0.0.1:0'}}\n"
		cases = append([]shape{
			{"one pipeline, and the embedded broker in its process", own, ""},
			{"one pipeline with keys, and the embedded broker in its process", own, key},
		}, cases...)
	}
	all := make([]idleFigures, len(cases))
	runs := make([][]idleFigures, len(cases))
	for range o.rounds {
		for i, c := range cases {
			f, err := t.atRest(ctx, p, c.head+pipelinesOf(1, c.key), 1, 5*time.Second)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.title, err)
			}
			runs[i] = append(runs[i], f)
		}
	}
	for i, c := range cases {
		all[i] = restingMedians(p.title, c.title, runs[i])
	}
	return all, nil
}

// many is a process with many pipelines, each with keys and a group of its own.
func many(ctx context.Context, p *place, o *options, t *tools) ([]idleFigures, error) {
	if p.name == "embedded" {
		say("the embedded broker takes 500 groups: this is measured on a cluster")
		return nil, nil
	}
	if err := p.cluster.create(ctx, idleTopic, idleTopic+"-out"); err != nil {
		return nil, err
	}
	defer p.cluster.drop(context.WithoutCancel(ctx), idleTopic, idleTopic+"-out")
	head := fmt.Sprintf("kafka: {brokers: [%s]}\nidempotency: {store: embedded}\n", strings.Join(p.brokers, ", "))
	text := head + pipelinesOf(o.pipelines, "'k:${payload.id}'")
	f, err := t.atRest(ctx, p, text, o.pipelines, 15*time.Second)
	if err != nil {
		return nil, err
	}
	return []idleFigures{restingMedians(p.title, fmt.Sprintf("%d pipelines with keys, embedded store", o.pipelines),
		[]idleFigures{f})}, nil
}

// pipelinesOf is the text of that many pipelines.
func pipelinesOf(n int, key string) string {
	var text strings.Builder
	text.WriteString("pipelines:\n")
	for i := range n {
		fmt.Fprintf(&text, "  bench-idle-%d:\n    source: {topic: %s}\n    filter: payload.amount >= 50\n", i,
			idleTopic)
		if key != "" {
			fmt.Fprintf(&text, "    idempotency: {key: %s}\n", key)
		}
		fmt.Fprintf(&text, "    sinks: [{kafka: {topic: %s-out}}]\n    dead_letter: off\n", idleTopic)
	}
	return text.String()
}

// atRest starts Millrace on a file, waits until it is ready, and looks at it when it has
// settled.
func (t *tools) atRest(ctx context.Context, p *place, text string, pipelines int, window time.Duration) (f idleFigures,
	err error) {
	k := &task{group: fmt.Sprintf("bench-idle-%d", time.Now().UnixNano())}
	defer t.clean(k)
	address, err := freeAddress()
	if err != nil {
		return f, err
	}
	if err := os.WriteFile(t.file(k), fmt.Appendf(nil, "version: 1\nserver: {health: %q}\n%s", address, text),
		0o600); err != nil {
		return f, err
	}
	args := []string{"run", "-f", t.file(k), "--state", t.state(k), "-q"}
	if !strings.Contains(text, "brokers:") {
		args = append(args, "--create-topics")
	}
	began := time.Now()
	process, err := start(exec.Command(t.binary, args...))
	if err != nil {
		return f, err
	}
	defer func() {
		err = errors.Join(err, process.stop())
		var groups []string
		for i := range pipelines {
			groups = append(groups, fmt.Sprintf("bench-idle-%d", i))
		}
		p.cluster.dropGroups(context.WithoutCancel(ctx), groups...)
	}()
	err = patiently(ctx, 3*time.Minute, "/readyz", func() error {
		if process.ended() {
			return errors.Join(errEnded, process.failure())
		}
		response, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
	if err != nil {
		return f, err
	}
	f.Ready = time.Since(began).Seconds()
	time.Sleep(window)
	before, from := usageOf(process.pid()), time.Now()
	time.Sleep(window)
	after := usageOf(process.pid())
	f.RSS = after.rss
	f.CPU = (after.cpu - before.cpu).Seconds() / time.Since(from).Seconds()
	return f, nil
}

func restingMedians(place, title string, runs []idleFigures) idleFigures {
	f := idleFigures{Place: place, Title: title}
	of := func(get func(idleFigures) float64) float64 {
		var values []float64
		for _, each := range runs {
			values = append(values, get(each))
		}
		return median(values)
	}
	f.Ready = of(func(f idleFigures) float64 { return f.Ready })
	f.RSS, f.CPU = of(func(f idleFigures) float64 { return f.RSS }), of(func(f idleFigures) float64 { return f.CPU })
	return f
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
