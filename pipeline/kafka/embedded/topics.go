package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// topicName is what Apache Kafka allows.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func validTopic(name string) bool {
	return topicName.MatchString(name) && name != "." && name != ".."
}

// CreateTopics makes topics, by name, with so many partitions; 0 means the
// broker's default. It returns once they are durable. Topics that exist are left
// as they are, whatever their partitions. On an error, some may have been made.
func (b *Broker) CreateTopics(ctx context.Context, topics map[string]int32) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return ErrClosed
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.createTopic(name, topics[name]); err != nil {
			return fmt.Errorf("create topic %q: %w", name, err)
		}
	}
	return b.confirmTopics(topics)
}

func (b *Broker) createTopic(name string, partitions int32) error {
	if !validTopic(name) {
		return errors.New("a topic's name has up to 249 letters, digits, dots, underscores and hyphens")
	}
	if err := b.boundPartitions(map[string]int32{name: partitions}); err != nil {
		return err
	}
	err := b.cluster.CreateTopic(name, max(partitions, 0), topicConfigs())
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return nil
	case errors.Is(err, kerr.InvalidTopicException):
		return errors.New("another topic's name differs from it only in dots and underscores")
	default:
		return err
	}
}

// confirmTopics checks what the file says, since kfake goes on where it could not
// write it, and records of a topic that it does not name are lost.
func (b *Broker) confirmTopics(topics map[string]int32) error {
	written, err := readTopics(b.lock.Dir())
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for name := range topics {
		if _, ok := written[name]; !ok {
			return fmt.Errorf("create topic %q: it could not be written to %s", name,
				filepath.Join(b.lock.Dir(), topicsFile))
		}
	}
	return syncDir(b.lock.Dir())
}

// TopicNames lists the topics, sorted.
func (b *Broker) TopicNames() ([]string, error) {
	topics, err := readTopics(b.lock.Dir())
	if err != nil {
		return nil, fmt.Errorf("list the embedded broker's topics: %w", err)
	}
	return slices.Sorted(maps.Keys(topics)), nil
}
