package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Clients may ask for retention, compaction and three replicas; they get a topic
// that keeps everything once.
func TestTopicsKeepEverything(t *testing.T) {
	b := start(t, Config{})
	c := client(t, b.Addr())
	admin := kadm.NewClient(c)
	ms, compact, size := "1", "compact", "2000000"
	made, err := admin.CreateTopics(t.Context(), 2, 3, map[string]*string{
		"retention.ms": &ms, "cleanup.policy": &compact, "max.message.bytes": &size,
	}, "orders")
	if err != nil || made["orders"].Err != nil {
		t.Fatal(err, made["orders"].Err)
	}
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{
		{Name: "retention.ms", Value: &ms}, {Name: "cleanup.policy", Value: &compact}, {Name: "retention.bytes", Value: &ms},
	}, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{
		{Name: "log.retention.ms", Value: &ms}, {Name: "offsets.retention.minutes", Value: &ms},
	}); err != nil {
		t.Fatal(err)
	}

	if _, err := admin.AlterTopicConfigsState(t.Context(), []kadm.AlterConfig{
		{Name: "max.message.bytes", Value: &size}, {Name: "retention.ms", Value: &ms},
	}, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.AlterBrokerConfigsState(t.Context(), []kadm.AlterConfig{{Name: "log.retention.bytes", Value: &ms}}); err != nil {
		t.Fatal(err)
	}

	configs, err := admin.DescribeTopicConfigs(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, config := range configs[0].Configs {
		got[config.Key] = config.MaybeValue()
	}
	want := map[string]string{
		"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete", "max.message.bytes": "2000000",
		"log.retention.ms": "-1", "log.retention.bytes": "-1",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %q, want %q", key, got[key], value)
		}
	}
	details, err := admin.ListTopics(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(details["orders"].Partitions[0].Replicas); n != 1 {
		t.Errorf("%d replicas, want 1", n)
	}
}

// Java's clients fail where a new topic's settings come from nowhere.
func TestNewTopicsSayWhereTheirSettingsComeFrom(t *testing.T) {
	b := start(t, Config{})
	r := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "orders", 1, 1
	r.Topics = append(r.Topics, topic)
	answer, err := r.RequestWith(t.Context(), client(t, b.Addr()))
	if err != nil || answer.Version < 5 {
		t.Fatalf("version %d, %v", answer.Version, err)
	}
	for _, config := range answer.Topics[0].Configs {
		if config.Source != int8(kmsg.ConfigSourceDynamicTopicConfig) {
			t.Errorf("%s comes from %d", config.Name, config.Source)
		}
	}
	if len(answer.Topics[0].Configs) == 0 {
		t.Error("no settings")
	}
}

func TestTopicsNamedAgainstKafkasRules(t *testing.T) {
	b := start(t, Config{})
	made, err := kadm.NewClient(client(t, b.Addr())).CreateTopics(t.Context(), 1, 1, nil, "a/b", "orders")
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(made["a/b"].Err, kerr.InvalidTopicException) || made["orders"].Err == nil {
		t.Errorf("got %v and %v", made["a/b"].Err, made["orders"].Err)
	}
}

// A commit stays for good: expiry runs all the time here, and with the largest
// number that the setting takes it would take the commit at once.
func TestCommitsDoNotExpire(t *testing.T) {
	b := start(t, Config{expiryEvery: time.Millisecond})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", numbered("v", 5)...)
	commitOffset(t, c, "invoices", "orders", 3)
	for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; {
		if got := committed(t, c, "invoices", "orders"); got != 3 {
			t.Fatalf("committed %d, want 3", got)
		}
	}
}

func TestDeleteRecordsMayNotEmptyAPartition(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", numbered("v", 5)...)
	remove := func(offset int64) error {
		var offsets kadm.Offsets
		offsets.AddOffset("orders", 0, offset, -1)
		answers, err := kadm.NewClient(c).DeleteRecords(t.Context(), offsets)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := answers.Lookup("orders", 0)
		return answer.Err
	}
	for _, offset := range []int64{-1, 5} {
		if err := remove(offset); !errors.Is(err, kerr.PolicyViolation) {
			t.Errorf("up to %d: %v, want it refused", offset, err)
		}
	}
	if err := remove(4); err != nil {
		t.Errorf("up to 4: %v", err)
	}
	if got := read(t, b.Addr(), "orders"); len(got) != 1 || got[0] != "4 v-4" {
		t.Errorf("left: %v", got)
	}
}

func TestAssignedReplicasReadAsOne(t *testing.T) {
	r := kmsg.NewCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "orders", -1, -1
	for p := range int32(3) {
		assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		assignment.Partition, assignment.Replicas = p, []int32{0, 1, 2}
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, assignment)
	}
	r.Topics = append(r.Topics, topic)
	if response := ruleCreateTopics(&r); response != nil {
		t.Fatal("refused")
	}
	got := r.Topics[0]
	if got.NumPartitions != 3 || got.ReplicationFactor != 1 || got.ReplicaAssignment != nil {
		t.Errorf("got %+v", got)
	}
}
