//go:build unix

package ledger

import (
	"context"
	"errors"
	"time"
)

// Fault is one kind of trouble.
type Fault string

// What may happen.
const (
	Killed       Fault = "killed"             // kill -9, and started again
	KilledInCall Fault = "killed-in-call"     // the same while calls take half a second
	Stopped      Fault = "stopped"            // SIGTERM, and started again
	StoppedAway  Fault = "stopped-while-away" // the same while receivers refuse connections
	Rolled       Fault = "rolled"             // one replica after the other stops and starts, again and again
	Frozen       Fault = "frozen"             // the process stands still for longer than its lease
	Limited      Fault = "limited"            // receivers take 20 calls a second, the others meet 429
	Flap         Fault = "flap"               // receivers refuse connections for a second
	Half         Fault = "half"               // one backend of two answers 503
	Failing      Fault = "failing"            // a fifth of the calls meets 500
	Lossy        Fault = "lossy"              // a third takes effect, and the connection is reset
	Hanging      Fault = "hanging"            // some take effect and are never answered
	Again        Fault = "again"              // some take effect, are reset, and refused when they come again
	LateTopic    Fault = "late-topic"         // the topic that was missing is made
	StoreSilent  Fault = "store-silent"       // Redis answers nothing while calls are under way
	StoreKilled  Fault = "store-killed"       // Redis is killed, and started again
)

var everyFault = []Fault{
	Killed, KilledInCall, Stopped, StoppedAway, Rolled, Frozen, Limited, Flap, Half, Failing, Lossy, Hanging, Again,
	LateTopic,
	StoreSilent, StoreKilled,
}

func (f Fault) redis() bool { return f == StoreSilent || f == StoreKilled }

// trouble makes one fault after the other, until the run's time is over, and
// then the topic that may still be missing.
func (r *run) trouble(ctx context.Context) error {
	r.sleep(ctx, time.Second)
	for _, a := range schedule(r.Options) {
		if time.Since(r.began) > r.Time || ctx.Err() != nil {
			break
		}
		r.Log("%s: %s %s", clock(time.Now()), a.Fault, r.replicas[a.Replica].name)
		r.books.happens(a.Fault)
		if err := r.happen(ctx, a.Fault, r.replicas[a.Replica]); err != nil {
			return err
		}
		r.sleep(ctx, 800*time.Millisecond)
	}
	return r.kafka.create(ctx, r.Prefix+"copies_"+late)
}

func (r *run) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (r *run) happen(ctx context.Context, f Fault, p *replica) error {
	switch f {
	case Killed:
		return errors.Join(p.crash(ctx), p.start())
	case KilledInCall:
		return r.with(ctx, trouble{took: 500 * time.Millisecond}, time.Second, func() error {
			return errors.Join(p.crash(ctx), p.start())
		})
	case Stopped:
		r.try(p.stop())
		return p.start()
	case Rolled:
		for i := range 4 {
			p := r.replicas[i%len(r.replicas)]
			r.try(p.stop())
			if err := p.start(); err != nil {
				return err
			}
			r.sleep(ctx, 700*time.Millisecond)
		}
		return nil
	case StoppedAway:
		return r.away(ctx, func() error {
			r.sleep(ctx, 1500*time.Millisecond)
			r.try(p.stop())
			return nil
		}, p.start)
	case Flap:
		return r.away(ctx, func() error { r.sleep(ctx, time.Second); return nil }, func() error { return nil })
	case Frozen:
		defer r.sleep(ctx, time.Second)
		return errors.Join(p.freeze(), r.after(ctx, 4*time.Second, p.thaw))
	case LateTopic:
		return r.kafka.create(ctx, r.Prefix+"copies_"+late)
	case StoreSilent:
		return r.with(ctx, trouble{took: 2200 * time.Millisecond}, time.Second, func() error {
			return r.storeAway(ctx, 4500*time.Millisecond, r.Redis.Pause, r.Redis.Continue)
		})
	case StoreKilled:
		return r.storeAway(ctx, 2*time.Second, r.Redis.Kill, func() error { return r.Redis.Start(ctx) })
	}
	return r.with(ctx, troubles[f], 2*time.Second, func() error { return nil })
}

var troubles = map[Fault]trouble{
	Limited: {rate: 20}, Half: {half: 0.5}, Failing: {fail: 0.2}, Lossy: {lose: 0.3}, Hanging: {hang: 0.05},
	Again: {again: 0.1},
}

// try notes an error of the binary, which is no error of the run.
func (r *run) try(err error) {
	if err != nil {
		r.books.fail("%v", err)
	}
}

// with does something once the receivers have been in trouble for a while.
func (r *run) with(ctx context.Context, t trouble, d time.Duration, do func() error) error {
	for _, receiver := range r.receivers {
		receiver.set(t)
		defer receiver.set(trouble{})
	}
	return r.after(ctx, d, do)
}

func (r *run) after(ctx context.Context, d time.Duration, do func() error) error {
	r.sleep(ctx, d)
	return do()
}

// away does something while receivers refuse connections, and more once they do
// so no longer.
func (r *run) away(_ context.Context, meanwhile, then func() error) error {
	for _, receiver := range r.receivers {
		if err := receiver.away(); err != nil {
			return err
		}
	}
	err := meanwhile()
	for _, receiver := range r.receivers {
		err = errors.Join(err, receiver.back())
	}
	return errors.Join(err, then())
}

// storeAway takes the key store away for a while.
func (r *run) storeAway(ctx context.Context, d time.Duration, away, back func() error) error {
	began := time.Now()
	if err := away(); err != nil {
		return err
	}
	r.sleep(ctx, d)
	err := back()
	r.books.storeAway(window{began, time.Now()})
	return err
}
