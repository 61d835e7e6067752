package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Assignment is a partition and the member of a group that has it.
type Assignment struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Client is what the member calls itself, Host where it connects from.
	Client string `json:"client"`
	Host   string `json:"host"`
}

// Assigned lists the partitions that the members of a group have now, those of one
// member together; none while they share them out anew.
func (a *Admin) Assigned(ctx context.Context, group string) ([]Assignment, error) {
	described, err := a.admin.DescribeGroups(ctx, group)
	if err == nil {
		err = described[group].Err
	}
	if err != nil {
		return nil, fmt.Errorf("ask who is in group %q: %w", group, a.cluster.explain(err))
	}
	var all []Assignment
	for _, m := range described[group].Members {
		has, ok := m.Assigned.AsConsumer()
		if !ok {
			continue
		}
		for _, t := range has.Topics {
			for _, number := range t.Partitions {
				all = append(all, Assignment{Topic: t.Topic, Partition: number, Client: m.ClientID, Host: m.ClientHost})
			}
		}
	}
	slices.SortFunc(all, func(a, b Assignment) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}
