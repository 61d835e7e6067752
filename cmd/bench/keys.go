package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// keyFigures are what many keys take of a store.
type keyFigures struct {
	Place string `json:"place"`
	Store string `json:"store"`
	Keys  int    `json:"keys"`
	// Rate is keys a second, claimed and confirmed, through a pipeline.
	Rate float64 `json:"keys_per_second"`
	// RSS is of Millrace, with the embedded store in it; RedisRSS of Redis. RSSAgain
	// and RedisAgain are those after a restart.
	RSS        float64 `json:"rss_mb"`
	RSSAgain   float64 `json:"rss_after_restart_mb"`
	RedisRSS   float64 `json:"redis_rss_mb,omitempty"`
	RedisAgain float64 `json:"redis_rss_after_restart_mb,omitempty"`
	// Disk is of the store's files.
	Disk float64 `json:"disk_mb"`
	// Reopen is in seconds: until Millrace is ready again, with Redis until that has
	// loaded its file.
	Reopen float64 `json:"reopen_s"`
}

// keys fills each store with keys through a pipeline whose effects are lines that
// nobody reads, and opens it again.
func keys(ctx context.Context, p *place, o *options, t *tools) ([]keyFigures, error) {
	if p.server == nil {
		say("keys are put into a Redis of the bench's own only")
		return nil, nil
	}
	topic := "bench-keys"
	if err := p.cluster.create(ctx, topic); err != nil {
		return nil, err
	}
	defer p.cluster.drop(context.WithoutCancel(ctx), topic)
	var failed error
	for i := range o.keys {
		r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, `{"id":"order-%d","amount":99}`, i)}
		p.cluster.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := errors.Join(p.cluster.client.Flush(ctx), failed); err != nil {
		return nil, err
	}
	var all []keyFigures
	for _, store := range []string{"embedded", "redis"} {
		f, err := keysIn(ctx, p, o, t, topic, store)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", store, err)
		}
		say("%s: %d keys in %s: %.0f/s, %.0f MB, %.0f MB on disk, open again in %.2f s", p.name, f.Keys, f.Store,
			f.Rate, f.RSS+f.RedisRSS, f.Disk, f.Reopen)
		all = append(all, f)
	}
	return all, nil
}

func keysIn(ctx context.Context, p *place, o *options, t *tools, topic, store string) (f keyFigures, err error) {
	k := &task{at: p, source: topic, group: fmt.Sprintf("bench-keys-%s-%d", store, time.Now().UnixNano())}
	defer t.clean(k)
	defer p.cluster.dropGroups(context.WithoutCancel(ctx), k.group)
	if err := p.fresh(ctx); err != nil {
		return f, err
	}
	address := store
	if store == "redis" {
		address = p.redis
	}
	text := fmt.Sprintf(`version: 1
kafka: {brokers: [%s]}
idempotency: {store: %q}
pipelines:
  %s:
    source: {topic: %s}
    idempotency: {key: 'order:${payload.id}'}
    sinks: [{stdout: {}}]
    dead_letter: off
`, strings.Join(p.brokers, ", "), address, k.group, topic)
	if err := os.WriteFile(t.file(k), []byte(text), 0o600); err != nil {
		return f, err
	}
	f = keyFigures{Place: p.title, Store: store, Keys: o.keys}
	began := time.Now()
	rss, err := t.whileRunning(k, func(process *process) error {
		return patiently(ctx, 20*time.Minute, "the keys", func() error {
			time.Sleep(50 * time.Millisecond)
			n, err := p.cluster.committed(ctx, k.group, topic)
			switch {
			case err != nil:
				return err
			case process.ended():
				return errors.Join(errEnded, process.failure())
			case n < int64(o.keys):
				return fmt.Errorf("%d of %d are confirmed", n, o.keys)
			}
			f.Rate = float64(o.keys) / time.Since(began).Seconds()
			return nil
		})
	})
	if err != nil {
		return f, err
	}
	f.RSS, f.Disk = rss, diskOf(t.state(k))
	if store == "redis" {
		f.RedisRSS = usageOf(p.redisPIDs...).rss
		if f.Disk, err = p.redisFile(ctx); err != nil {
			return f, err
		}
	}
	return f, f.again(ctx, p, t, k)
}

// again opens the store once more.
func (f *keyFigures) again(ctx context.Context, p *place, t *tools, k *task) (err error) {
	if f.Store == "redis" {
		took, err := p.restartRedis(ctx)
		if err != nil {
			return err
		}
		f.Reopen, f.RedisAgain = took.Seconds(), usageOf(p.redisPIDs...).rss
	}
	began := time.Now()
	f.RSSAgain, err = t.whileRunning(k, func(process *process) error {
		err := patiently(ctx, 5*time.Minute, "the store", func() error {
			if process.ended() {
				return errors.Join(errEnded, process.failure())
			}
			return exec.Command(t.binary, "status", "--exit-code", "--state", t.state(k), "-f", t.file(k)).Run()
		})
		if f.Store == "embedded" {
			f.Reopen = time.Since(began).Seconds()
		}
		return err
	})
	return err
}

// whileRunning runs Millrace on a task's file, does something, and returns what memory
// the process takes three seconds later.
func (t *tools) whileRunning(k *task, do func(*process) error) (rss float64, err error) {
	process, err := start(exec.Command(t.binary, "run", "-f", t.file(k), "--state", t.state(k), "-q"))
	if err != nil {
		return 0, err
	}
	if err = do(process); err == nil {
		time.Sleep(3 * time.Second)
		rss = usageOf(process.pid()).rss
	}
	return rss, errors.Join(err, process.stop())
}
