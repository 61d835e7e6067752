package kafka

import "testing"

// What a stop does not catch up with ends where a record is finished after all.
func TestStuckRecordsThatAreFinished(t *testing.T) {
	p := newPartition(t.Context(), "t", 0, Source{}.withDefaults())
	p.reach = 10
	slots := make([]slot, 10)
	for i := range slots {
		slots[i].record.Offset = int64(i)
	}
	for _, stuck := range []int{7, 3, 7} {
		p.giveUpOn(&slots[stuck])
	}
	for _, c := range []struct{ done, goal int64 }{{1, 3}, {3, 7}, {7, 10}} {
		slots[c.done].done.Store(true)
		if got := p.goal(); got != c.goal {
			t.Errorf("with %d finished it goes to %d, want %d", c.done, got, c.goal)
		}
	}
}

// A moved group is taken up as it was left: no alarm, and a store that lost its memory
// meanwhile is noticed as ever.
func TestMovedGroupKeepsItsEpoch(t *testing.T) {
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	run := func(epoch string, want int) (told string) {
		deps := b.deps()
		deps.Epoch = func() string { return epoch }
		deps.OnEpoch = func(_ string, _ int32, committed, current string) { told = committed + "→" + current }
		s, err := NewSubscriber(b.settings, b.source("orders"), deps)
		if err != nil {
			t.Fatal(err)
		}
		r := b.read(s, nil)
		b.eventually("what there is to read is committed", func() bool {
			st := s.Status()
			return r.count() == want && len(st) == 1 && st[0].Committed == 10
		})
		if st := s.Status(); st[0].Alarm != "" {
			t.Errorf("alarm %q", st[0].Alarm)
		}
		r.close(t)
		return told
	}
	run("one", 10)
	a := b.adminClient()
	move := func(to int64) {
		t.Helper()
		topics, err := a.InspectTopics(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		state, err := a.InspectGroup(t.Context(), b.source("orders").Group, topics)
		if err != nil || len(state.Commits) != 1 || state.Members != 0 {
			t.Fatal(state, err)
		}
		state.Commits[0].Offset = to
		if err := a.Move(t.Context(), b.source("orders").Group, state.Commits, topics); err != nil {
			t.Fatal(err)
		}
	}
	move(4)
	if told := run("one", 6); told != "" {
		t.Errorf("told %q", told)
	}
	move(7)
	if told := run("two", 3); told != "one→two" {
		t.Errorf("told %q of a store that lost its memory", told)
	}
	s := b.subscriber(b.source("orders"))
	r := b.read(s, nil)
	b.eventually("a placed partition", func() bool { return len(s.Status()) == 1 })
	state, err := a.InspectGroup(t.Context(), b.source("orders").Group, nil)
	if err != nil || state.Members != 1 || len(state.Who) != 1 || state.Who[0].Client == "" || state.Who[0].Host == "" || state.Who[0].ID == "" {
		t.Errorf("the group is %+v, %v", state, err)
	}
	err = a.Move(t.Context(), b.source("orders").Group, []Commit{{Topic: "orders", Offset: 1}}, nil)
	if !HasMembers(err) {
		t.Errorf("a group with members was moved: %v", err)
	}
	r.close(t)
}
