package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// tally counts effects, and holds them against what they should be. Its methods may be
// called from several goroutines.
type tally struct {
	mu   sync.Mutex
	seen []bool
	last map[string]int
	figuresOfEffects
}

// figuresOfEffects are what came of the effects of one run.
type figuresOfEffects struct {
	Effects    int `json:"effects"`
	Duplicates int `json:"duplicates"`
	// Disorder counts effects that came after a later one of the same key.
	Disorder int `json:"disorder"`
	// Wrong counts effects of records that do not pass the filter.
	Wrong int `json:"wrong"`
}

// take counts the effect of a record by its value.
func (t *tally) take(value []byte) {
	fields := gjson.GetManyBytes(value, "id", "customer.id", "amount")
	id, err := strconv.Atoi(strings.TrimPrefix(fields[0].Str, "order-"))
	customer := fields[1].Str
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Effects++
	if err != nil || id < 0 || fields[2].Int() < 50 {
		t.Wrong++
		return
	}
	for id >= len(t.seen) {
		t.seen = append(t.seen, make([]bool, 1<<16)...)
	}
	if t.seen[id] {
		t.Duplicates++
		return
	}
	t.seen[id] = true
	if t.last == nil {
		t.last = map[string]int{}
	}
	if last, ok := t.last[customer]; ok && last > id {
		t.Disorder++
	}
	t.last[customer] = max(id, t.last[customer])
}

func (t *tally) figures() figuresOfEffects {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.figuresOfEffects
}

// readBack takes up all that a topic holds. The partitions are read side by side, each
// in its order, as are the records of a key.
func (c *cluster) readBack(ctx context.Context, topic string) (figuresOfEffects, error) {
	want, err := c.count(ctx, topic)
	if err != nil {
		return figuresOfEffects{}, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		return figuresOfEffects{}, err
	}
	defer client.Close()
	var t tally
	for int64(t.Effects) < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return figuresOfEffects{}, fmt.Errorf("read %s back: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { t.take(r.Value) })
	}
	return t.figures(), nil
}
