package topics

import (
	"context"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/kafka"
)

// Reader is a pipeline as far as its lag is concerned.
type Reader struct {
	Pipeline, Group string
	// Reads tells whether it reads a topic.
	Reads func(topic string) bool
}

// Listed is one topic as it is, with who reads it.
type Listed struct {
	Topic       string `json:"topic"`
	Partitions  int    `json:"partitions"`
	Replication int    `json:"replication"`
	// RetentionMS is -1 for ever.
	RetentionMS int64  `json:"retention_ms"`
	Cleanup     string `json:"cleanup,omitempty"`
	Lag         []Lag  `json:"lag"`
}

// Lag is how many offsets one pipeline still has before it in one topic.
type Lag struct {
	Pipeline string `json:"pipeline"`
	Group    string `json:"group"`
	Lag      int64  `json:"lag"`
	// Begun is false where the group has committed nothing of the topic yet:
	// then Lag is the whole topic.
	Begun bool `json:"begun"`
}

// List describes the named topics that exist, all of them where names is nil.
func List(ctx context.Context, admin *kafka.Admin, names []string, readers []Reader) ([]Listed, error) {
	if names != nil && len(names) == 0 {
		return []Listed{}, nil
	}
	found, err := admin.Topics(ctx, names...)
	if err != nil || len(found) == 0 {
		return []Listed{}, err
	}
	all := make([]Listed, len(found))
	existing := make([]string, len(found))
	for i, t := range found {
		existing[i] = t.Name
		all[i] = Listed{Topic: t.Name, Partitions: t.Partitions, Replication: t.Replication, Lag: []Lag{}}
	}
	configs, err := admin.TopicConfigs(ctx, existing...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		keep := retention(configs[all[i].Topic])
		all[i].RetentionMS, all[i].Cleanup = max(-1, keep.Milliseconds()), configs[all[i].Topic][cleanupKey]
		if keep < 0 {
			all[i].RetentionMS = -1
		}
	}
	return all, lags(ctx, admin, all, existing, readers)
}

// lags fills in who reads the topics and how far they are.
func lags(ctx context.Context, admin *kafka.Admin, all []Listed, names []string, readers []Reader) error {
	if !slices.ContainsFunc(readers, func(r Reader) bool { return slices.ContainsFunc(names, r.Reads) }) {
		return nil
	}
	starts, err := admin.StartOffsets(ctx, names...)
	if err != nil {
		return err
	}
	ends, err := admin.EndOffsets(ctx, names...)
	if err != nil {
		return err
	}
	for _, r := range readers {
		committed, err := admin.Committed(ctx, r.Group)
		if err != nil {
			return err
		}
		for i := range all {
			name := all[i].Topic
			if !r.Reads(name) {
				continue
			}
			lag := Lag{Pipeline: r.Pipeline, Group: r.Group, Begun: len(committed[name]) > 0}
			for number, end := range ends[name] {
				at, ok := committed[name][number]
				if !ok {
					at = starts[name][number]
				}
				lag.Lag += max(0, end-at)
			}
			all[i].Lag = append(all[i].Lag, lag)
		}
	}
	for i := range all {
		slices.SortFunc(all[i].Lag, func(a, b Lag) int { return strings.Compare(a.Pipeline, b.Pipeline) })
	}
	return nil
}
