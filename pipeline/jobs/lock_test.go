package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
)

// join makes a member of the job's group, as a job does before it begins.
func join(t *testing.T, l *Letters) (leave func()) {
	t.Helper()
	s, err := kafka.NewSubscriber(l.Settings, kafka.Source{
		Topics: []string{"in"}, Group: GroupOf("p"), Until: kafka.Offsets{"in": {}},
		Note: func(string, int32, int64) string { return "" },
	}, l.Deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Pause()
	messages, err := s.Subscribe(t.Context(), "in")
	if err != nil {
		t.Fatal(err)
	}
	go func(messages <-chan *message.Message) {
		for m := range messages {
			m.Nack()
		}
	}(messages)
	for !s.Ready() {
		time.Sleep(10 * time.Millisecond)
	}
	return func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A job is taken by one alone, also of two who begin at the same moment; who was killed is
// waited for, and nobody takes the place of a job that is not done.
func TestLock(t *testing.T) {
	l := lettersOf(t)
	lock := Lock{l.Admin}
	ctx := t.Context()
	spans := []api.Span{{Topic: "in", Partition: 0, From: 2, Until: 9, Next: 2}, {Topic: "in", Partition: 1, From: 0, Until: 4, Next: 0}}
	one, two := Held(New(api.Replay, "p", "a@x")), Held(New(api.Replay, "p", "b@y"))
	if one.ID == two.ID || one.Run == two.Run || one.Check() != nil {
		t.Fatalf("%+v %+v", one, two)
	}
	if s, err := lock.Find(ctx, "p"); s != nil || err != nil {
		t.Fatal(s, err)
	}
	busy := func(err error, says string) {
		t.Helper()
		if _, ok := errors.AsType[*BusyError](err); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("want it to be busy, saying %q: %v", says, err)
		}
	}

	// Both look, and both find nobody: the one who takes it last has it.
	if err := lock.Take(ctx, one, spans); err != nil {
		t.Fatal(err)
	}
	leave := join(t, l)
	if err := lock.Alone(ctx, one); err != nil {
		t.Fatal(err)
	}
	busy(lock.Take(ctx, two, spans), one.ID+", begun by a@x")
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	busy(lock.Take(short, Held(one), spans), "works on it")
	leave()
	busy(lock.Take(ctx, two, spans), "nobody works on it now: go on with --id "+one.ID)
	s, err := lock.Find(ctx, "p")
	if err != nil || s.Job != one || len(s.Spans) != 2 || s.Spans[0].From != 2 || s.Spans[0].Until != 9 || s.Spans[0].Next != 2 || len(s.Members) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	again := Held(one)
	if err := lock.Take(ctx, again, s.Spans); err != nil {
		t.Fatal(err)
	}
	busy(lock.Alone(ctx, one), one.ID)
	if all, err := lock.All(ctx); err != nil || len(all) != 1 || all[0].Job != again {
		t.Errorf("%v, %v", all, err)
	}
	for range 2 {
		if err := lock.Release(ctx, "p"); err != nil {
			t.Fatal(err)
		}
	}
	busy(lock.Alone(ctx, again), "began at the same moment")
	if err := lock.Take(ctx, two, spans); err != nil {
		t.Fatal(err)
	}
}

func TestJobsAreChecked(t *testing.T) {
	good := New(api.Replay, "p", "me")
	for name, change := range map[string]func(*api.Job){
		"kind": func(j *api.Job) { j.Kind = "dance" }, "condition": func(j *api.Job) { j.Where = strings.Repeat("x", 1001) },
		"no id": func(j *api.Job) { j.ID = "" }, "id": func(j *api.Job) { j.ID = "A" }, "long id": func(j *api.Job) { j.ID = strings.Repeat("a", 65) },
	} {
		j := good
		if change(&j); j.Check() == nil {
			t.Error(name)
		}
	}
	if text := noteOf(good, 1, 2, nil); len(text) > 3000 || good.Check() != nil {
		t.Error(text)
	}
}
