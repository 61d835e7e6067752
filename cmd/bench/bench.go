package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// bench measures what the options want, on one place after the other, prints it, and
// keeps it where they say.
func bench(ctx context.Context, o *options) (err error) {
	t, err := newTools(ctx, o)
	if t != nil {
		defer os.RemoveAll(t.dir)
	}
	if err != nil {
		return err
	}
	var all results
	if o.out != "" {
		if all, err = readResults(o.out); err != nil {
			return err
		}
	}
	measured := &results{}
	places := o.on
	if o.brokers != "" {
		places = []string{"cluster"}
	}
	for _, name := range places {
		if err := on(ctx, name, o, t, measured); err != nil {
			return fmt.Errorf("on %s: %w", name, err)
		}
	}
	all.take(measured)
	if o.out != "" {
		if err := all.write(o.out); err != nil {
			return err
		}
	}
	fmt.Print(measured.markdown())
	return nil
}

// on measures on one place.
func on(ctx context.Context, name string, o *options, t *tools, all *results) (err error) {
	say("starting %s", name)
	p, err := openPlace(ctx, name, o, t)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return err
	}
	if chosen := o.jobs(); len(chosen) > 0 {
		err = part(&all.Jobs, o, o.rounds, func() ([]jobFigures, error) { return compare(ctx, p, o, t, chosen) })
	}
	if err == nil && o.wants("latency") {
		err = part(&all.Latency, o, o.rounds, func() ([]latencyFigures, error) { return latencies(ctx, p, o, t) })
	}
	if err == nil && o.wants("sizes") {
		err = part(&all.Sizes, o, o.rounds, func() ([]sizeFigures, error) { return sizes(ctx, p, o, t) })
	}
	if err == nil && o.wants("idle") {
		err = part(&all.Idle, o, o.rounds, func() ([]idleFigures, error) { return idle(ctx, p, o, t) })
	}
	if err == nil && o.wants("pipelines") {
		err = part(&all.Pipelines, o, 1, func() ([]idleFigures, error) { return many(ctx, p, o, t) })
	}
	// Which broker the keys come from makes no difference.
	if err == nil && o.wants("keys") && all.Keys == nil {
		err = part(&all.Keys, o, 1, func() ([]keyFigures, error) { return keys(ctx, p, o, t) })
	}
	return err
}

// part adds what is measured on one place to what was on others.
func part[F any](all **section[F], o *options, rounds int, measure func() ([]F, error)) error {
	if *all == nil {
		*all = &section[F]{About: aboutNow(o, rounds)}
	}
	figures, err := measure()
	(*all).Figures = append((*all).Figures, figures...)
	(*all).About.LoadAfter = load1()
	return err
}

// jobFigures are those of a job on a place, over all rounds.
type jobFigures struct {
	Place string `json:"place"`
	Job   string `json:"job"`
	Title string `json:"title"`
	figures
	// ToSarama is beside the raw sarama loop with flush settings, ToFilter beside
	// Millrace's job without keys, in the same rounds.
	ToSarama *ratio `json:"to_raw_sarama,omitempty"`
	ToFilter *ratio `json:"to_filter,omitempty"`
	// Rounds are the single runs.
	Rounds []figures `json:"rounds"`
}

// ratio is the median of the rounds' ratios.
type ratio struct {
	Rate float64 `json:"rate"`
	CPU  float64 `json:"cpu"`
}

// compare lets the jobs take turns.
func compare(ctx context.Context, p *place, o *options, t *tools, chosen []job) ([]jobFigures, error) {
	l, err := p.cluster.fill(ctx, "bench-in", o.records, 300)
	if err != nil {
		return nil, err
	}
	defer p.cluster.drop(context.WithoutCancel(ctx), l.topic)
	return rounds(ctx, p, o, t, chosen, l, o.rounds)
}

func rounds(ctx context.Context, p *place, o *options, t *tools, chosen []job, l *load, n int) ([]jobFigures, error) {
	all := make([]jobFigures, len(chosen))
	for round := range n {
		for i, j := range chosen {
			f, err := measure(ctx, t, j, p, l, o.limit)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.name, err)
			}
			say("%s, round %d of %d, %s: %.0f/s, %.2f CPU-s/M, %.0f MB, %d duplicates, %d out of order", p.name,
				round+1, n, j.name, f.Rate, f.CPU, f.Peak, f.Duplicates, f.Disorder)
			all[i].Place, all[i].Job, all[i].Title = p.title, j.name, j.title
			all[i].Rounds = append(all[i].Rounds, f)
		}
	}
	for i := range all {
		all[i].figures = medians(all[i].Rounds)
		all[i].ToSarama, all[i].ToFilter = beside(all, i, "sarama-flush"), beside(all, i, "filter")
	}
	return all, nil
}

// beside is the ratio of a job to another, nil where that was not measured, or is the
// same.
func beside(all []jobFigures, i int, name string) *ratio {
	at := slices.IndexFunc(all, func(f jobFigures) bool { return f.Job == name })
	if at < 0 || at == i {
		return nil
	}
	var rates, cpus []float64
	for n, f := range all[i].Rounds {
		base := all[at].Rounds[n]
		rates, cpus = append(rates, f.Rate/base.Rate), append(cpus, f.CPU/max(base.CPU, .001))
	}
	return &ratio{median(rates), median(cpus)}
}

// medians are those of each figure by itself; of effects that are wrong, the worst.
func medians(all []figures) figures {
	f := all[0]
	of := func(get func(*figures) float64) float64 {
		var values []float64
		for i := range all {
			values = append(values, get(&all[i]))
		}
		return median(values)
	}
	f.Rate, f.MBytes = of(func(f *figures) float64 { return f.Rate }), of(func(f *figures) float64 { return f.MBytes })
	f.CPU, f.Peak = of(func(f *figures) float64 { return f.CPU }), of(func(f *figures) float64 { return f.Peak })
	f.BrokerCPU = of(func(f *figures) float64 { return f.BrokerCPU })
	f.RedisCPU = of(func(f *figures) float64 { return f.RedisCPU })
	f.WholeCPU = of(func(f *figures) float64 { return f.WholeCPU })
	f.Wall = of(func(f *figures) float64 { return f.Wall })
	for _, each := range all {
		f.Cut = f.Cut || each.Cut
		f.Effects = min(f.Effects, each.Effects)
		f.Committed = min(f.Committed, each.Committed)
		f.Duplicates, f.Disorder = max(f.Duplicates, each.Duplicates), max(f.Disorder, each.Disorder)
	}
	return f
}

// median is the middle one, or the lower of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// say tells on standard error how far the bench is.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
