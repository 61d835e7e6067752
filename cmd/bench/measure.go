package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// figures are what one run of a job showed; of several, the medians.
type figures struct {
	// Rate is records read a second, MBytes what they hold.
	Rate   float64 `json:"records_per_second"`
	MBytes float64 `json:"mb_per_second"`
	// CPU is in seconds per million records read, of the job's process, the brokers
	// and Redis; 0 where it is not known.
	CPU       float64 `json:"cpu_s_per_million"`
	BrokerCPU float64 `json:"broker_cpu_s_per_million"`
	RedisCPU  float64 `json:"redis_cpu_s_per_million"`
	// Peak is the most memory that the process had, in MB.
	Peak float64 `json:"peak_rss_mb"`
	// Wall is in seconds from start to end, of a process that ends by itself.
	Wall float64 `json:"wall_s,omitempty"`
	// Cut tells that the run was cut off; the figures are of the part that was done.
	Cut bool `json:"cut,omitempty"`
	figuresOfEffects
	// Committed is where the group stands after the end.
	Committed int64 `json:"committed"`
}

// mark is how far a run was at a time.
type mark struct {
	at                 time.Time
	effects            int64
	job, broker, redis usage
}

// attempt is one run of a job that is measured.
type attempt struct {
	tools    *tools
	job      job
	task     *task
	load     *load
	limit    time.Duration
	process  *process
	receiver *receiver
}

// startLimit is how long a job may take until its first effect.
const startLimit = 60 * time.Second

// measure runs a job once. Rate and CPU are those between its first effect and its last
// one: what starting takes is measured elsewhere.
func measure(ctx context.Context, t *tools, j job, at *place, l *load, limit time.Duration) (f figures, err error) {
	name := fmt.Sprintf("bench-%s-%d", j.name, time.Now().UnixNano())
	k := &task{at: at, source: l.topic, group: name, out: name + "-out"}
	r := &attempt{tools: t, job: j, task: k, load: l, limit: limit}
	defer t.clean(k)
	if j.delay >= 0 {
		if r.receiver, err = t.startReceiver(j.delay); err != nil {
			return f, err
		}
		k.receiver = r.receiver.url
		defer func() { err = errors.Join(err, r.receiver.stop()) }()
	} else {
		if err = at.cluster.create(ctx, k.out); err != nil {
			return f, err
		}
		defer at.cluster.drop(context.WithoutCancel(ctx), k.out)
	}
	defer at.cluster.dropGroups(context.WithoutCancel(ctx), k.group)
	if err = at.fresh(ctx); err != nil {
		return f, err
	}
	began := time.Now()
	if r.process, err = t.start(j, k); err != nil {
		return f, err
	}
	first, last, err := r.watch(ctx)
	if err == nil {
		err = r.end(began, &f)
	}
	if err != nil {
		return f, errors.Join(err, r.process.kill(), r.process.failure())
	}
	f.between(first, last, l)
	err = r.verify(ctx, &f)
	return f, err
}

// between are the figures of what happened between two marks.
func (f *figures) between(first, last mark, l *load) {
	records := float64(last.effects-first.effects) * float64(l.records) / float64(l.passed)
	seconds := last.at.Sub(first.at).Seconds()
	perMillion := func(a, b usage) float64 { return (b.cpu - a.cpu).Seconds() / records * 1e6 }
	f.Rate = records / seconds
	f.MBytes = f.Rate * float64(l.size) / 1e6
	f.CPU, f.BrokerCPU = perMillion(first.job, last.job), perMillion(first.broker, last.broker)
	f.RedisCPU = perMillion(first.redis, last.redis)
	f.Peak = last.job.peak
	f.Cut = last.effects < int64(l.passed)
}

// watch follows the effects from the first to the last, or until the limit.
func (r *attempt) watch(ctx context.Context) (first, last mark, err error) {
	began := time.Now()
	for {
		// The process may end as soon as all is done: then its last usage is that of
		// the look before.
		ended := r.process.ended()
		now, err := r.mark(ctx)
		if err != nil {
			return first, last, err
		}
		if now.job.cpu == 0 {
			now.job = last.job
		}
		last = now
		if now.effects > 0 && first.effects == 0 {
			first = now
		}
		switch {
		case now.effects >= int64(r.load.passed):
			return first, last, nil
		case ended:
			return first, last, fmt.Errorf("%w after %d of %d effects", errEnded, now.effects, r.load.passed)
		case first.effects > 0 && time.Since(first.at) > r.limit:
			return first, last, nil
		case first.effects == 0 && time.Since(began) > startLimit:
			return first, last, fmt.Errorf("no effect within %s", startLimit)
		}
		select {
		case <-ctx.Done():
			return first, last, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (r *attempt) mark(ctx context.Context) (m mark, err error) {
	asked := time.Now()
	if r.receiver != nil {
		var f figuresOfEffects
		f, err = r.receiver.effects(ctx)
		m.effects = int64(f.Effects)
	} else {
		m.effects, err = r.task.at.cluster.count(ctx, r.task.out)
	}
	answered := time.Now()
	m.at = asked.Add(answered.Sub(asked) / 2)
	m.job, m.broker = usageOf(r.process.pid()), usageOf(r.task.at.brokerPIDs...)
	m.redis = usageOf(r.task.at.redisPIDs...)
	return m, err
}

// end waits for a process that ends by itself, and stops any other.
func (r *attempt) end(began time.Time, f *figures) error {
	if !r.job.ends {
		return r.process.stop()
	}
	err := r.process.wait(5 * time.Minute)
	f.Wall = time.Since(began).Seconds()
	return err
}

// verify looks at the effects: a job that lost some, or that made some of records which
// do not pass, is none.
func (r *attempt) verify(ctx context.Context, f *figures) (err error) {
	if r.receiver != nil {
		f.figuresOfEffects, err = r.receiver.effects(ctx)
	} else {
		f.figuresOfEffects, err = r.task.at.cluster.readBack(ctx, r.task.out)
	}
	if err != nil {
		return err
	}
	if f.Committed, err = r.task.at.cluster.committed(ctx, r.task.group, r.task.source); err != nil {
		return err
	}
	if f.Wrong > 0 {
		return fmt.Errorf("%d effects are of records that do not pass the filter", f.Wrong)
	}
	if lost := r.load.passed - (f.Effects - f.Duplicates); lost > 0 && !f.Cut {
		return fmt.Errorf("%d of %d effects are missing", lost, r.load.passed)
	}
	return nil
}
