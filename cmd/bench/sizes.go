package main

import (
	"context"
	"fmt"
)

// sizeFigures are those of a job with records of another size.
type sizeFigures struct {
	Size int `json:"record_bytes"`
	jobFigures
}

// largeSizes are in bytes; loadMB is how much of each is read in a round.
var largeSizes = []int{20_000, 1_000_000}

const loadMB = 400

// sizes lets the jobs take turns on large records.
func sizes(ctx context.Context, p *place, o *options, t *tools) ([]sizeFigures, error) {
	var all []sizeFigures
	for _, size := range largeSizes {
		records := min(o.records, loadMB*1_000_000/size)
		l, err := p.cluster.fill(ctx, fmt.Sprintf("bench-in-%d", size), records, size)
		if err != nil {
			return nil, err
		}
		figures, err := rounds(ctx, p, o, t, o.named(func(j job) bool { return j.live }, true), l, o.rounds)
		p.cluster.drop(context.WithoutCancel(ctx), l.topic)
		if err != nil {
			return nil, err
		}
		for _, f := range figures {
			all = append(all, sizeFigures{size, f})
		}
	}
	return all, nil
}
