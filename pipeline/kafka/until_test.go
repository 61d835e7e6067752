package kafka

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A source with an end delivers what lies before it, of the partitions that it names, and
// keeps its note beside what it commits.
func TestSourceEnds(t *testing.T) {
	b := newBed(t)
	const topic = "orders"
	b.topic(topic, 3)
	for partition := range int32(3) {
		for i := range 300 {
			b.write(&kgo.Record{Topic: topic, Partition: partition, Value: fmt.Appendf(nil, "%d/%d", partition, i)})
		}
	}
	a, err := NewAdmin(b.settings, b.deps())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	id := topicID(t, a, topic)
	source := b.source(topic)
	source.Until = Offsets{topic: {0: 120, 1: 50}}
	source.Note = func(topic string, partition int32, next int64) string {
		return fmt.Sprintf("note %d %d", partition, next)
	}
	if err := a.CommitNotes(t.Context(), source.Group, []Noted{
		{topic, 0, 100, id, "begin"}, {topic, 1, 50, id, "begin"}, {topic, 2, 0, id, "begin"},
	}); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Notes(t.Context(), source.Group); err != nil || len(all) != 3 || all[0] != (Noted{topic, 0, 100, id, "begin"}) {
		t.Fatalf("%v, %v", all, err)
	}
	s := b.subscriber(source)
	r := b.read(s, nil)
	b.eventually("the end is committed", func() bool { return b.committed(source.Group, topic, 0) == 120 })
	if members, err := a.Members(t.Context(), source.Group); err != nil || len(members) != 1 || members[0].Client != "millrace" {
		t.Errorf("%v, %v", members, err)
	}
	if err := a.CommitNotes(t.Context(), source.Group, []Noted{{topic, 0, 0, id, ""}}); !HasMembers(err) {
		t.Errorf("a group with members was changed: %v", err)
	}
	if err := a.DeleteGroup(t.Context(), source.Group); !HasMembers(err) {
		t.Errorf("a group with members was deleted: %v", err)
	}
	r.close(t)
	var want, got []string
	for i := 100; i < 120; i++ {
		want = append(want, fmt.Sprintf("0/%d", i))
	}
	for _, record := range r.records() {
		got = append(got, string(record.Value))
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	all, err := a.Notes(t.Context(), source.Group)
	if err != nil || len(all) != 3 || all[0] != (Noted{topic, 0, 120, id, "note 0 120"}) || all[2] != (Noted{topic, 2, 0, id, "begin"}) {
		t.Fatalf("%v, %v", all, err)
	}
	if groups, err := a.Groups(t.Context(), source.Group); err != nil || !slices.Equal(groups, []string{source.Group}) {
		t.Errorf("%v, %v", groups, err)
	}
	for range 2 {
		if err := a.DeleteGroup(context.Background(), source.Group); err != nil {
			t.Error(err)
		}
	}
	if members, err := a.Members(t.Context(), source.Group); err != nil || len(members) != 0 {
		t.Errorf("%v, %v", members, err)
	}
}

func topicID(t *testing.T, a *Admin, topic string) [16]byte {
	t.Helper()
	all, err := a.Topics(t.Context(), topic)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	return all[0].ID
}
