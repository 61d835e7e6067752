package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

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
