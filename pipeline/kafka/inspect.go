package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerInfo is one broker as the cluster tells clients to reach it.
type BrokerInfo struct {
	ID int32
	// Address is what advertised.listeners says.
	Address string
}

// Rights are what the credentials in use may do.
type Rights struct {
	// Known is false where the cluster does not tell.
	Known       bool
	Read, Write bool
}

// TopicState is all that can be seen of one topic without reading it.
type TopicState struct {
	Topic
	// Exists is false for a topic that is not there, or that the credentials
	// may not know of: then Err is kerr's TopicAuthorizationFailed.
	Exists bool
	Err    error
	May    Rights
	// Leaderless counts partitions that nobody leads, InSync is the fewest
	// in-sync replicas of those with a leader.
	Leaderless, InSync int
	// Configs are the topic's settings by key; nil where ConfigErr says why they
	// can't be read.
	Configs   map[string]string
	ConfigErr error
	// Starts and Ends are where the logs of its partitions begin and end; of
	// partitions that do not answer there is nothing.
	Starts, Ends map[int32]int64
}

// Refused tells whether the credentials may not even see the topic.
func (t TopicState) Refused() bool { return errors.Is(t.Err, kerr.TopicAuthorizationFailed) }

// GroupState is how a consumer group is used at present.
type GroupState struct {
	// Members is how many it has now, and Who they are.
	Members int
	Who     []Member
	// Protocol is how they share partitions; Foreign tells that a member of this
	// program could not join them.
	Protocol string
	Foreign  bool
	May      Rights
	// Commits are the offsets that it has committed.
	Commits []Commit
}

// Commit is one offset of a group.
type Commit struct {
	Topic     string
	Partition int32
	Offset    int64
	// OtherTopic tells that it belongs to a topic of the same name that was
	// deleted since.
	OtherTopic bool
	// Epoch is the key store's memory that it was made under, empty where
	// another program made it.
	Epoch string
}

// Reach asks the first address of the settings, once, for all brokers of the
// cluster. It changes nothing.
func (a *Admin) Reach(ctx context.Context) ([]BrokerInfo, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := a.client.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return nil, a.refusal(err)
	}
	var all []BrokerInfo
	for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
		all = append(all, BrokerInfo{ID: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))})
	}
	slices.SortFunc(all, func(a, b BrokerInfo) int { return int(a.ID) - int(b.ID) })
	return all, nil
}

// ReachBroker asks one broker that Reach told of at the address that it
// advertises, once.
func (a *Admin) ReachBroker(ctx context.Context, id int32) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	_, err := a.client.Broker(int(id)).Request(ctx, req)
	return a.refusal(err)
}

// refusal is why a connection failed, without what the library puts around it.
func (a *Admin) refusal(err error) error {
	err = a.cluster.explain(err)
	if fault, ok := errors.AsType[*faultError](err); ok {
		return fault
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed
	}
	return err
}

// HasGroups tells whether any group was ever used on the cluster. Before that a
// question about one would make the topic that keeps them.
func (a *Admin) HasGroups(ctx context.Context) (bool, error) {
	found, err := a.InspectTopics(ctx, groupsTopic)
	if err != nil {
		return false, err
	}
	t := found[groupsTopic]
	return t.Exists || t.Err != nil, nil
}

// groupsTopic is where Kafka keeps what groups commit.
const groupsTopic = "__consumer_offsets"

// InspectTopics looks at topics, whether they exist or not. It changes nothing.
func (a *Admin) InspectTopics(ctx context.Context, names ...string) (map[string]TopicState, error) {
	all := map[string]TopicState{}
	if len(names) == 0 {
		return all, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, a.client)
	if err != nil {
		return nil, fmt.Errorf("look at topics: %w", a.cluster.explain(err))
	}
	var there []string
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		state := topicState(t)
		all[*t.Topic] = state
		if state.Exists {
			there = append(there, *t.Topic)
		}
	}
	if len(there) == 0 {
		return all, nil
	}
	a.settings(ctx, all, there)
	views, err := lookAt(ctx, a.client, there)
	if err != nil {
		// Who may not read the offsets is told so by the topic's rights.
		return all, nil
	}
	for name, v := range views {
		state := all[name]
		state.Starts, state.Ends = v.starts, v.ends
		all[name] = state
	}
	return all, nil
}

func topicState(t kmsg.MetadataResponseTopic) TopicState {
	state := TopicState{Topic: Topic{Name: *t.Topic, ID: t.TopicID, Partitions: len(t.Partitions),
		Internal: t.IsInternal}}
	switch err := kerr.ErrorForCode(t.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return state
	case err != nil && !kerr.IsRetriable(err):
		state.Err = err
		return state
	}
	state.Exists, state.May = true, rightsOf(t.AuthorizedOperations)
	for i, p := range t.Partitions {
		if p.Leader < 0 {
			state.Leaderless++
			continue
		}
		if i == 0 || len(p.ISR) < state.InSync || state.InSync == 0 {
			state.InSync = len(p.ISR)
		}
		state.Replication = max(state.Replication, len(p.Replicas))
	}
	return state
}

// rightsOf reads the set of operations that brokers tell, of which none at all
// is the least number.
func rightsOf(operations int32) Rights {
	if operations == math.MinInt32 {
		return Rights{}
	}
	may := func(op kmsg.ACLOperation) bool { return operations&(1<<op) != 0 }
	return Rights{Known: true, Read: may(kmsg.ACLOperationRead), Write: may(kmsg.ACLOperationWrite)}
}

// settings fills in the topics' settings.
func (a *Admin) settings(ctx context.Context, all map[string]TopicState, names []string) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, name
		req.Resources = append(req.Resources, resource)
	}
	resp, err := req.RequestWith(ctx, a.client)
	for _, name := range names {
		state := all[name]
		state.ConfigErr = err
		if err == nil {
			state.Configs, state.ConfigErr = configsOf(resp, name)
		}
		all[name] = state
	}
}

func configsOf(resp *kmsg.DescribeConfigsResponse, topic string) (map[string]string, error) {
	for _, r := range resp.Resources {
		if r.ResourceName != topic {
			continue
		}
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return nil, err
		}
		configs := map[string]string{}
		for _, c := range r.Configs {
			if !c.IsSensitive && c.Value != nil {
				configs[c.Name] = *c.Value
			}
		}
		return configs, nil
	}
	return nil, errors.New("the brokers did not tell its settings")
}

// InspectGroup looks at a group, which may not exist yet, and at what it has
// committed of topics that InspectTopics told of. It changes nothing.
func (a *Admin) InspectGroup(ctx context.Context, group string, topics map[string]TopicState) (GroupState, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{group}, true
	resp, err := req.RequestWith(ctx, a.client)
	if err != nil {
		return GroupState{}, a.cluster.explain(err)
	}
	var state GroupState
	for _, g := range resp.Groups {
		switch err := kerr.ErrorForCode(g.ErrorCode); {
		case errors.Is(err, kerr.GroupIDNotFound):
			continue
		case err != nil:
			return state, err
		}
		state.Members, state.Protocol, state.May = len(g.Members), g.Protocol, rightsOf(g.AuthorizedOperations)
		for _, m := range g.Members {
			member := Member{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost}
			if m.InstanceID != nil {
				member.Instance = *m.InstanceID
			}
			state.Who = append(state.Who, member)
		}
		if g.ProtocolType != "" && g.ProtocolType != "consumer" {
			state.Protocol = g.ProtocolType
		}
		state.Foreign = state.Members > 0 && (g.ProtocolType != "consumer" ||
			g.Protocol != "" && g.Protocol != assignor)
	}
	fetched, err := fetchOffsets(ctx, a.admin, group)
	if err != nil {
		return state, err
	}
	for topic, partitions := range fetched {
		for number, o := range partitions {
			if o.Err != nil || o.At < 0 {
				continue
			}
			commit := Commit{Topic: topic, Partition: number, Offset: o.At}
			if n, ok := parseNote(o.Metadata); ok {
				commit.Epoch, commit.OtherTopic = n.epoch, n.otherTopic(topics[topic].ID)
			}
			state.Commits = append(state.Commits, commit)
		}
	}
	return state, nil
}

// assignor is how members of this program share partitions.
const assignor = "cooperative-sticky"

// NotAllowed tells whether an error is that the credentials may not do what was
// asked.
func NotAllowed(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) ||
		errors.Is(err, kerr.ClusterAuthorizationFailed)
}
