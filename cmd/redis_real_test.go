//go:build real

package cmd

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// Redis is away for 20 s under load, hanging or dead: the sink is not called
// meanwhile, nothing is dropped, dead-lettered or repeated, and it goes on by
// itself.
func TestRealRedisAway(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		away, back func(context.Context, *redisserver.Server) error
	}{
		"hanging": {
			func(_ context.Context, r *redisserver.Server) error { return r.Pause() },
			func(_ context.Context, r *redisserver.Server) error { return r.Continue() },
		},
		"dead": {
			func(_ context.Context, r *redisserver.Server) error { return r.Kill() },
			func(ctx context.Context, r *redisserver.Server) error { return r.Start(ctx) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redisserver.Need(t, redisserver.Options{AppendFsync: "always"})
			b := kafkaAndRedis(t)
			b.store = redis.URL()
			b.create(t, 6, "orders", "invoices", "dead")
			receiver := newAccount(t)
			p := notify(t, b, receiver)
			stop := b.stream(t)
			p.await("orders are notified", func() bool { n, _ := receiver.count(); return n > 1000 })

			if err := way.away(t.Context(), redis); err != nil {
				t.Fatal(err)
			}
			// What was claimed before may still be called.
			quiet := time.Now().Add(time.Second)
			time.Sleep(10 * time.Second)
			if s := p.status(); s.Ready {
				t.Errorf("ready though Redis is away: %+v", s)
			}
			time.Sleep(10 * time.Second)
			back := time.Now()
			if err := way.back(t.Context(), redis); err != nil {
				t.Fatal(err)
			}
			if n := receiver.between(quiet, back); n > 0 {
				t.Errorf("%d sink calls while Redis was away", n)
			}
			p.await("it flows again", func() bool { return !receiver.firstAfter(back).IsZero() })
			t.Logf("flows again %s after Redis is back", receiver.firstAfter(back).Sub(back))
			p.await("it is ready again", func() bool { return p.status().Ready })
			n := stop()
			b.ended(t, p)
			receiver.once(t, n)
			b.nothingDead(t, p)
		})
	}
}

// Redis forgets everything: alarm and block within a second or so, in every
// replica, until a person accepts it. One that starts afterwards blocks as well.
func TestRealRedisFlushed(t *testing.T) {
	t.Parallel()
	redis := redisserver.Need(t, redisserver.Options{})
	b := kafkaAndRedis(t)
	b.store = redis.URL() + "?prefix=shop:"
	b.create(t, 6, "orders", "invoices", "dead")
	receiver := newAccount(t)
	first, second := notify(t, b, receiver), notify(t, b, receiver)
	all := []*process{first, second}
	stop := b.stream(t)
	first.await("orders are notified", func() bool { n, _ := receiver.count(); return n > 1000 })

	// Calls are under way. What is done of them, and of what lies behind them and can't
	// be committed, is forgotten: where its process ends as well, it may come again.
	release := receiver.holdCalls()
	time.Sleep(200 * time.Millisecond)
	if _, err := redis.Run(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	flushed := time.Now()
	release()
	blocked(all...)
	t.Logf("alarm %s after the flush", time.Since(flushed))
	quiet := time.Now().Add(time.Second)
	time.Sleep(4 * time.Second)
	if n := receiver.between(quiet, time.Now()); n > 0 {
		t.Errorf("%d sink calls while blocked", n)
	}
	if code := second.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// A restart must not forget that the store forgot.
	second = notifyBlocked(t, b, receiver)
	all[1] = second
	time.Sleep(2 * time.Second)
	blocked(all...)
	if n := receiver.between(quiet, time.Now()); n > 0 {
		t.Errorf("%d sink calls while blocked, after a restart", n)
	}

	if code, out, errs := millrace(t, first.dir, "keys", "accept-reset", "--yes"); code != 0 || !strings.Contains(out, "accepted") {
		t.Fatalf("accept-reset: code %d\n%s%s", code, out, errs)
	}
	for _, p := range all {
		p.await("it goes on", func() bool { return p.status().Ready })
	}
	n := stop()
	b.ended(t, first)
	receiver.forget(flushed)
	receiver.once(t, n)
	b.nothingDead(t, first)
}

// Redis forgets while nothing runs: who starts next learns it from the group's
// commits, and blocks before the first call; or goes on, where so configured.
func TestRealRedisFlushedWhileAway(t *testing.T) {
	t.Parallel()
	redis := redisserver.Need(t, redisserver.Options{})
	b := kafkaAndRedis(t)
	b.store = redis.URL()
	b.create(t, 6, "orders", "invoices", "dead")
	receiver := newAccount(t)
	p := notify(t, b, receiver)
	b.send(t, "", b.orders(0, 300))
	b.ended(t, p)
	p.stop()
	if _, err := redis.Run(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	b.send(t, "", b.orders(300, 300))
	p = notifyBlocked(t, b, receiver, "on_store_reset: block")
	time.Sleep(time.Second)
	if calls, _ := receiver.count(); calls != 300 {
		t.Errorf("%d calls, want the 300 from before", calls)
	}
	p.stop()

	p = notify(t, b, receiver, "on_store_reset: continue")
	b.ended(t, p)
	receiver.once(t, 600)
	if !strings.Contains(p.log(), "memory lost") {
		t.Error("it goes on without a word")
	}
}
