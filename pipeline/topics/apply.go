package topics

import (
	"context"

	"github.com/millrace/millrace/pipeline/kafka"
)

// Apply makes the changes of a plan in their order, but for those that stay, and
// tells each to done once it is made. It stops at the first that the cluster
// refuses; a topic that somebody else made meanwhile is taken as it is.
func Apply(ctx context.Context, admin *kafka.Admin, plan Plan, done func(Change)) error {
	for _, c := range plan.Changes {
		if c.Action == Leave {
			continue
		}
		if err := apply(ctx, admin, c); err != nil {
			return err
		}
		done(c)
	}
	return nil
}

func apply(ctx context.Context, admin *kafka.Admin, c Change) error {
	switch c.Action {
	case Create:
		_, err := admin.CreateTopics(ctx, []string{c.Topic}, c.want.Partitions, c.want.Replication, c.want.configs())
		return err
	case Grow:
		return admin.AddPartitions(ctx, c.Topic, c.want.Partitions)
	default:
		key := map[string]string{"retention": retentionKey, "cleanup": cleanupKey}[c.Setting]
		return admin.SetTopicConfigs(ctx, c.Topic, map[string]string{key: c.want.configs()[key]})
	}
}
