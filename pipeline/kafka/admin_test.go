package kafka

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *bed) adminClient() *Admin {
	b.Helper()
	a, err := NewAdmin(b.settings, b.deps())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.Close)
	return a
}

func TestCreateTopicsTellsWhichItMade(t *testing.T) {
	b := newBed(t)
	a := b.adminClient()
	ctx := t.Context()
	made, err := a.CreateTopics(ctx, []string{"a", "b"}, 3, 1, map[string]string{"retention.ms": "60000"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, made); d != "" {
		t.Errorf("made (-want +got):\n%s", d)
	}
	if made, err = a.CreateTopics(ctx, []string{"b", "c"}, 1, 1, nil); err != nil || !cmp.Equal(made, []string{"c"}) {
		t.Errorf("made %v, %v; want c", made, err)
	}
	if _, err := a.CreateTopics(ctx, []string{"d"}, 1, 5, nil); err == nil {
		t.Error("a topic got more replicas than there are brokers")
	}
	topics, err := a.Topics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []Topic
	for _, topic := range topics {
		if topic.ID == [16]byte{} {
			t.Errorf("topic %s has no id", topic.Name)
		}
		topic.ID = [16]byte{}
		got = append(got, topic)
	}
	want := []Topic{{Name: "a", Partitions: 3, Replication: 1}, {Name: "b", Partitions: 3, Replication: 1}, {Name: "c", Partitions: 1, Replication: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("topics (-want +got):\n%s", d)
	}
	if some, err := a.Topics(ctx, "c", "nowhere"); err != nil || len(some) != 1 {
		t.Errorf("%v, %v; want c alone", some, err)
	}
}

func TestChangesTopics(t *testing.T) {
	b := newBed(t)
	a := b.adminClient()
	ctx := t.Context()
	b.topic("a", 1)
	if err := a.AddPartitions(ctx, "a", 4); err != nil {
		t.Fatal(err)
	}
	if err := a.AddPartitions(ctx, "a", 2); err == nil {
		t.Error("a topic was given fewer partitions")
	}
	if err := a.SetTopicConfigs(ctx, "a", map[string]string{"retention.ms": "1234"}); err != nil {
		t.Fatal(err)
	}
	configs, err := a.TopicConfigs(ctx, "a")
	if err != nil || configs["a"]["retention.ms"] != "1234" {
		t.Errorf("retention.ms %q, %v; want 1234", configs["a"]["retention.ms"], err)
	}
	b.eventually("four partitions", func() bool {
		topics, err := a.Topics(ctx, "a")
		return err == nil && len(topics) == 1 && topics[0].Partitions == 4
	})
}

func TestListsOffsets(t *testing.T) {
	b := newBed(t)
	a := b.adminClient()
	ctx := t.Context()
	b.topic("a", 2)
	begin := time.UnixMilli(1_700_000_000_000)
	records := numbered("a", 0, 0, 10)
	for i, r := range records {
		r.Timestamp = begin.Add(time.Duration(i) * time.Second)
	}
	b.write(records...)
	b.deleteBefore("a", 0, 2)
	same := func(what string, want Offsets, list func() (Offsets, error)) {
		t.Helper()
		got, err := list()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	same("starts", Offsets{"a": {0: 2, 1: 0}}, func() (Offsets, error) { return a.StartOffsets(ctx, "a") })
	same("ends", Offsets{"a": {0: 10, 1: 0}}, func() (Offsets, error) { return a.EndOffsets(ctx, "a") })
	same("by time", Offsets{"a": {0: 7, 1: 0}}, func() (Offsets, error) { return a.OffsetsAt(ctx, begin.Add(6500*time.Millisecond), "a") })
	same("no commits", Offsets{}, func() (Offsets, error) { return a.Committed(ctx, "g") })
	b.reset("g", "a", 0, 4, "")
	same("commits", Offsets{"a": {0: 4}}, func() (Offsets, error) { return a.Committed(ctx, "g") })
}

func TestPingWaitsForTheCluster(t *testing.T) {
	b := newBed(t)
	if err := b.adminClient().Ping(within(t, patience), nil); err != nil {
		t.Fatal(err)
	}
	// An address that nobody listens on.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	a, err := NewAdmin(Settings{Brokers: []string{address}}, b.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := a.Ping(ctx, nil); err == nil {
		t.Error("a cluster that is not there answered")
	}
}
