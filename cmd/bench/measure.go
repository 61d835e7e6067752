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
	// WholeCPU is that of the job's process with its start and its end.
	WholeCPU float64 `json:"whole_cpu_s_per_million"`
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

// measure runs a job once.
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
	marks, err := r.watch(ctx)
	if err == nil {
		err = r.end(began, &f)
	}
	if err != nil {
		return f, errors.Join(err, r.process.kill(), r.process.failure())
	}
	f.of(marks, l)
	err = r.verify(ctx, &f)
	return f, err
}

// of are the figures of a run: those between a tenth and four fifths of its effects. Before
// that the process starts, and takes up what it then has in flight; behind it, it reads no
// more and works that off. Both would make one that has much in flight look fast.
func (f *figures) of(marks []mark, l *load) {
	last := marks[len(marks)-1]
	from, to := marks[0], last
	for _, m := range marks {
		if m.effects*10 <= last.effects {
			from = m
		}
		if m.effects*10 <= last.effects*8 && m.effects > from.effects {
			to = m
		}
	}
	records := float64(to.effects-from.effects) * float64(l.records) / float64(l.passed)
	perMillion := func(a, b usage) float64 { return (b.cpu - a.cpu).Seconds() / records * 1e6 }
	f.Rate = records / to.at.Sub(from.at).Seconds()
	f.MBytes = f.Rate * float64(l.size) / 1e6
	f.CPU, f.BrokerCPU = perMillion(from.job, to.job), perMillion(from.broker, to.broker)
	f.RedisCPU = perMillion(from.redis, to.redis)
	f.WholeCPU = last.job.cpu.Seconds() / float64(last.effects) * float64(l.passed) / float64(l.records) * 1e6
	f.Peak = last.job.peak
	f.Cut = last.effects < int64(l.passed)
}

// watch follows the effects from the start to the last, or until the limit.
func (r *attempt) watch(ctx context.Context) (marks []mark, err error) {
	began := time.Now()
	first := began
	for {
		// The process may end as soon as all is done: then its last usage is that of
		// the look before.
		ended := r.process.ended()
		now, err := r.mark(ctx)
		if err != nil {
			return nil, err
		}
		if now.job.cpu == 0 && len(marks) > 0 {
			now.job = marks[len(marks)-1].job
		}
		if now.effects == 0 {
			marks, first = marks[:0], now.at
		}
		marks = append(marks, now)
		switch {
		case now.effects >= int64(r.load.passed):
			return marks, nil
		case ended:
			return nil, fmt.Errorf("%w after %d of %d effects", errEnded, now.effects, r.load.passed)
		case now.effects > 0 && time.Since(first) > r.limit:
			return marks, nil
		case now.effects == 0 && time.Since(began) > startLimit:
			return nil, fmt.Errorf("no effect within %s", startLimit)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
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
	if uncommitted := int64(r.load.records) - f.Committed; uncommitted > 0 && !f.Cut && !r.job.alone {
		return fmt.Errorf("%d of %d records are not committed", uncommitted, r.load.records)
	}
	if lost := r.load.passed - (f.Effects - f.Duplicates); lost > 0 && !f.Cut {
		return fmt.Errorf("%d of %d effects are missing", lost, r.load.passed)
	}
	return nil
}
