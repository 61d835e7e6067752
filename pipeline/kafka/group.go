package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// coordinatorPatience is how long a new cluster may take to make the topic that
// keeps what groups commit; it does so for the first question about one.
const coordinatorPatience = 15 * time.Second

// commits asks for what a group has committed, also where the cluster has just begun.
func (a *Admin) commits(ctx context.Context, group string) (kadm.OffsetResponses, error) {
	fetched, err := fetchOffsets(ctx, a.admin, group)
	for until := time.Now().Add(coordinatorPatience); errors.Is(err, kerr.CoordinatorNotAvailable) &&
		time.Now().Before(until); {
		if rest(ctx, 200*time.Millisecond) != nil {
			break
		}
		fetched, err = fetchOffsets(ctx, a.admin, group)
	}
	return fetched, err
}

// Committed lists the offsets that a group has committed.
func (a *Admin) Committed(ctx context.Context, group string) (Offsets, error) {
	fetched, err := a.commits(ctx, group)
	if err != nil {
		return nil, err
	}
	offsets := Offsets{}
	for topic, partitions := range fetched {
		for number, o := range partitions {
			if o.At < 0 {
				continue
			}
			if offsets[topic] == nil {
				offsets[topic] = map[int32]int64{}
			}
			offsets[topic][number] = o.At
		}
	}
	return offsets, nil
}

// LeaveGroup takes a static member out of its group for good, so that its
// partitions move at once. Its Subscriber must be closed before.
func (a *Admin) LeaveGroup(ctx context.Context, group, instance string) error {
	responses, err := a.admin.LeaveGroup(ctx,
		kadm.LeaveGroup(group).InstanceIDs(instance).Reason("the pipeline is being removed"))
	if err == nil {
		for _, r := range responses {
			if r.Err != nil && !errors.Is(r.Err, kerr.UnknownMemberID) {
				err = r.Err
			}
		}
	}
	if err != nil {
		return fmt.Errorf("leave group %q as %q: %w", group, instance, err)
	}
	return nil
}

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
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Topic, b.Topic),
			cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}

// Member is one member of a consumer group.
type Member struct {
	// ID is the broker's name for it, Instance its own where it is static.
	ID, Instance string
	// Client is what the member calls itself, Host where it connects from.
	Client, Host string
}

// String names it as an operator finds it.
func (m Member) String() string {
	return fmt.Sprintf("%s (%s at %s)", m.ID, m.Client, strings.TrimPrefix(m.Host, "/"))
}

// Members lists who is in a group; nobody where there is no such group.
func (a *Admin) Members(ctx context.Context, group string) ([]Member, error) {
	described, err := a.admin.DescribeGroups(ctx, group)
	if err == nil {
		err = described[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask who is in group %q: %w", group, a.cluster.explain(err))
	}
	var all []Member
	for _, m := range described[group].Members {
		member := Member{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			member.Instance = *m.InstanceID
		}
		all = append(all, member)
	}
	return all, nil
}

// Noted is a committed offset with what stands beside it.
type Noted struct {
	Topic     string
	Partition int32
	Offset    int64
	// TopicID is the incarnation of the topic that it is of, all zero where that is not
	// known.
	TopicID [16]byte
	// Text is what a [Source]'s Note said.
	Text string
}

// Notes lists what a group has committed, of partitions that have a commit of ours.
func (a *Admin) Notes(ctx context.Context, group string) ([]Noted, error) {
	fetched, err := a.commits(ctx, group)
	if err != nil {
		return nil, err
	}
	var all []Noted
	for _, o := range fetched.Sorted() {
		if n, ok := parseNote(o.Metadata); ok && o.Err == nil && o.At >= 0 {
			all = append(all, Noted{o.Topic, o.Partition, o.At, n.topicID, n.text})
		}
	}
	return all, nil
}

// CommitNotes commits offsets for a group that has no members; where it has some the
// cluster refuses.
func (a *Admin) CommitNotes(ctx context.Context, group string, all []Noted) error {
	offsets := kadm.Offsets{}
	for _, n := range all {
		offsets.Add(kadm.Offset{Topic: n.Topic, Partition: n.Partition, At: n.Offset, LeaderEpoch: -1,
			Metadata: note{topicID: n.TopicID, text: n.Text}.String()})
	}
	return a.commitFor(ctx, group, offsets)
}

// Move commits offsets for a group that has no members; where it has some the cluster
// refuses, see [HasMembers]. A member that comes then takes the commits as its own: they
// are of the topics as topics has them, and of the memory that each one's Epoch names.
func (a *Admin) Move(ctx context.Context, group string, to []Commit, topics map[string]TopicState) error {
	offsets := kadm.Offsets{}
	for _, c := range to {
		offsets.Add(kadm.Offset{Topic: c.Topic, Partition: c.Partition, At: c.Offset, LeaderEpoch: -1,
			Metadata: note{topicID: topics[c.Topic].ID, epoch: c.Epoch}.String()})
	}
	return a.commitFor(ctx, group, offsets)
}

// commitFor commits for a group that has no members.
func (a *Admin) commitFor(ctx context.Context, group string, offsets kadm.Offsets) error {
	responses, err := a.admin.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = responses.Error()
	}
	if err != nil {
		return fmt.Errorf("commit offsets of group %q: %w", group, a.cluster.explain(err))
	}
	return nil
}

// HasMembers tells whether the cluster refused to change a group because somebody is in
// it.
func HasMembers(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.NonEmptyGroup) ||
		errors.Is(err, kerr.RebalanceInProgress)
}

// DeleteGroup deletes a group that has no members, and what it has committed. One that is
// not there is no error.
func (a *Admin) DeleteGroup(ctx context.Context, group string) error {
	_, err := a.admin.DeleteGroup(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("delete group %q: %w", group, a.cluster.explain(err))
	}
	return nil
}

// Groups lists the groups whose names begin with prefix, sorted.
func (a *Admin) Groups(ctx context.Context, prefix string) ([]string, error) {
	listed, err := a.admin.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", a.cluster.explain(err))
	}
	var all []string
	for _, g := range listed.Sorted() {
		if strings.HasPrefix(g.Group, prefix) {
			all = append(all, g.Group)
		}
	}
	return all, nil
}
