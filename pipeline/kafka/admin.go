package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Admin looks at a cluster and makes topics. Its methods are safe for concurrent
// use, block until the cluster answers and return when ctx ends.
type Admin struct {
	cluster cluster
	client  *kgo.Client
	admin   *kadm.Client
}

// NewAdmin makes a client; it connects when it is first used.
func NewAdmin(settings Settings, deps Deps) (*Admin, error) {
	c, err := newCluster(settings)
	if err != nil {
		return nil, fmt.Errorf("configure the admin client: %w", err)
	}
	if deps.Logger == nil {
		return nil, errors.New("configure the admin client: no logger is given")
	}
	client, err := kgo.NewClient(append(c.kgoOptions(deps.Logger), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		return nil, fmt.Errorf("configure the admin client: %w", err)
	}
	return &Admin{cluster: c, client: client, admin: kadm.NewClient(client)}, nil
}

// Close disconnects.
func (a *Admin) Close() { a.client.Close() }

// Topic is what the cluster says of one topic.
type Topic struct {
	Name string
	// ID is all zero where the cluster has no topic ids.
	ID          [16]byte
	Partitions  int
	Replication int
	Internal    bool
}

// Topics lists the named topics that exist, all of them where none is named, in
// alphabetical order. Internal ones are listed only by name.
func (a *Admin) Topics(ctx context.Context, names ...string) ([]Topic, error) {
	details, err := a.admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", a.cluster.explain(err))
	}
	var topics []Topic
	for _, d := range details.Sorted() {
		if errors.Is(d.Err, kerr.UnknownTopicOrPartition) || (d.IsInternal && len(names) == 0) {
			continue
		}
		if d.Err != nil {
			return nil, fmt.Errorf("list topic %q: %w", d.Topic, d.Err)
		}
		topics = append(topics, Topic{
			Name: d.Topic, ID: d.ID, Partitions: len(d.Partitions),
			Replication: d.Partitions.NumReplicas(), Internal: d.IsInternal,
		})
	}
	return topics, nil
}

// TopicConfigs returns the configuration of each topic, by topic and key,
// without what is sensitive.
func (a *Admin) TopicConfigs(ctx context.Context, names ...string) (map[string]map[string]string, error) {
	described, err := a.admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	all := map[string]map[string]string{}
	for _, d := range described {
		if d.Err != nil {
			return nil, fmt.Errorf("describe topic %q: %w", d.Name, d.Err)
		}
		configs := map[string]string{}
		for _, c := range d.Configs {
			if !c.Sensitive && c.Value != nil {
				configs[c.Key] = *c.Value
			}
		}
		all[d.Name] = configs
	}
	return all, nil
}

// CreateTopics makes the topics that do not exist yet and tells which it made,
// in alphabetical order. 0 partitions or replicas mean the cluster's default. It returns once the topics
// can be used, or with the first refusal.
func (a *Admin) CreateTopics(ctx context.Context, names []string, partitions, replication int,
	configs map[string]string) (made []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	values := map[string]*string{}
	for key, value := range configs {
		values[key] = &value
	}
	responses, err := a.admin.CreateTopics(ctx, orUnset[int32](partitions), orUnset[int16](replication), values,
		names...)
	if err != nil {
		return nil, fmt.Errorf("create topics: %w", err)
	}
	var refused error
	for _, r := range responses {
		switch {
		case r.Err == nil:
			made = append(made, r.Topic)
		case errors.Is(r.Err, kerr.TopicAlreadyExists):
		case refused == nil:
			refused = fmt.Errorf("create topic %q: %w", r.Topic, explained(r.Err, r.ErrMessage))
		}
	}
	slices.Sort(made)
	if refused != nil {
		return made, refused
	}
	return made, a.awaitTopics(ctx, made)
}

func orUnset[T int16 | int32](n int) T {
	if n <= 0 {
		return -1
	}
	return T(n)
}

func explained(err error, message string) error {
	if message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, message)
}

// awaitTopics waits until each topic has leaders: brokers hear of a new topic
// one after the other.
func (a *Admin) awaitTopics(ctx context.Context, names []string) error {
	for len(names) > 0 {
		ends, err := a.admin.ListEndOffsets(ctx, names...)
		if err == nil && ends.Error() == nil {
			return nil
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("wait for topics %s: %w", strings.Join(names, ", "), err)
		}
	}
	return nil
}

// AddPartitions raises the number of a topic's partitions to total.
func (a *Admin) AddPartitions(ctx context.Context, topic string, total int) error {
	responses, err := a.admin.UpdatePartitions(ctx, total, topic)
	if err == nil {
		for _, r := range responses {
			if r.Err != nil {
				err = explained(r.Err, r.ErrMessage)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("add partitions to topic %q: %w", topic, err)
	}
	return nil
}

// SetTopicConfigs sets configuration keys of a topic and leaves the others.
func (a *Admin) SetTopicConfigs(ctx context.Context, topic string, configs map[string]string) error {
	var changes []kadm.AlterConfig
	for key, value := range configs {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
	}
	responses, err := a.admin.AlterTopicConfigs(ctx, changes, topic)
	if err == nil {
		for _, r := range responses {
			if r.Err != nil {
				err = explained(r.Err, r.ErrMessage)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("configure topic %q: %w", topic, err)
	}
	return nil
}

// Offsets are offsets by topic and partition.
type Offsets map[string]map[int32]int64

// StartOffsets lists where the logs of topics begin.
func (a *Admin) StartOffsets(ctx context.Context, topics ...string) (Offsets, error) {
	return offsetsOf(a.admin.ListStartOffsets(ctx, topics...))
}

// EndOffsets lists where the logs of topics end for a reader of committed
// records: the last stable offset.
func (a *Admin) EndOffsets(ctx context.Context, topics ...string) (Offsets, error) {
	return offsetsOf(a.admin.ListCommittedOffsets(ctx, topics...))
}

// OffsetsAt lists the first offsets at or after a time, the end where there is
// none.
func (a *Admin) OffsetsAt(ctx context.Context, at time.Time, topics ...string) (Offsets, error) {
	return offsetsOf(a.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...))
}

func offsetsOf(listed kadm.ListedOffsets, err error) (Offsets, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	offsets := Offsets{}
	for topic, partitions := range listed {
		offsets[topic] = map[int32]int64{}
		for number, o := range partitions {
			offsets[topic][number] = o.Offset
		}
	}
	return offsets, nil
}

// NeverTopic tells whether the cluster refused to make a topic because of its name,
// such as one that differs from another's only in dots and underscores.
func NeverTopic(err error) bool { return errors.Is(err, kerr.InvalidTopicException) }

// RefusedByPolicy tells that the cluster does not let the topic be made as it was
// asked for.
func RefusedByPolicy(err error) bool { return errors.Is(err, kerr.PolicyViolation) }

// CheckTopic tells what the cluster has against a topic of that name, without making
// it; nil where it would make it.
func (a *Admin) CheckTopic(ctx context.Context, name string) error {
	responses, err := a.admin.ValidateCreateTopics(ctx, -1, -1, nil, name)
	if err != nil {
		return fmt.Errorf("check the name of topic %q: %w", name, a.cluster.explain(err))
	}
	for _, r := range responses {
		if r.Err != nil && !errors.Is(r.Err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("topic %q can't be made: %w", name, explained(r.Err, r.ErrMessage))
		}
	}
	return nil
}
