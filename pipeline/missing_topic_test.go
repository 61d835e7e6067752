package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// written is a Producer that keeps the topics of what it is given.
type written struct {
	fail error

	mu     sync.Mutex
	topics []string
}

func (w *written) Produce(_ context.Context, records []*handlers.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range records {
		w.topics = append(w.topics, r.Topic)
	}
	return w.fail
}

// newWriter is a writer on a cluster that has the topic here.
func newWriter(t *testing.T, plan *plan.Plan, policy string) (*topicWriter, *written, *kafka.Admin) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "here"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	log := slog.New(slog.DiscardHandler)
	admin, err := kafka.NewAdmin(kafka.Settings{Brokers: c.ListenAddrs()}, kafka.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	next := &written{}
	return &topicWriter{next: next, book: newTopicBook(admin, plan, log), policy: policy, mostNew: 100}, next, admin
}

// produce writes a record to each of topics and tells how each fared.
func produce(t *testing.T, p handlers.Producer, topics ...string) []string {
	t.Helper()
	var records []*handlers.Record
	for _, topic := range topics {
		records = append(records, &handlers.Record{Topic: topic, Partition: -1})
	}
	err := p.Produce(t.Context(), records)
	var fared []string
	for i := range records {
		f := handlers.FailureOf(err, i)
		if f == nil {
			fared = append(fared, "written")
			continue
		}
		fared = append(fared, fmt.Sprintf("%s scope=%q not_sent=%v", f.Class, f.Scope, f.NotSent))
	}
	return fared
}

func TestAMissingTopicConcernsItsRecordsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		policy, ofSink string
		want           []string
	}{
		"pause":       {handlers.MissingPause, "", []string{`infrastructure scope="gone" not_sent=true`, "written", `infrastructure scope="gone" not_sent=true`}},
		"dead_letter": {handlers.MissingPause, handlers.MissingDeadLetter, []string{`not_applied scope="" not_sent=true`, "written", `not_applied scope="" not_sent=true`}},
		"create":      {handlers.MissingPause, handlers.MissingCreate, []string{"written", "written", "written"}},
		"embedded":    {handlers.MissingCreate, "", []string{"written", "written", "written"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, next, admin := newWriter(t, &plan.Plan{Topics: []plan.Topic{{Name: "gone", Partitions: 3}}}, c.policy)
			p := w.WithMissingTopic(c.ofSink, 100)
			if diff := cmp.Diff(c.want, produce(t, p, "gone", "here", "gone")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			sent := 0
			for _, fared := range c.want {
				if fared == "written" {
					sent++
				}
			}
			if len(next.topics) != sent {
				t.Errorf("sent to %v", next.topics)
			}
			if made, err := admin.Topics(t.Context(), "gone"); err != nil || (len(made) == 1) != (sent == 3) || sent == 3 && made[0].Partitions != 3 {
				t.Errorf("made %v, %v", made, err)
			}
		})
	}
}

func TestRecordsGoOnOnceTheirTopicIsMade(t *testing.T) {
	w, _, admin := newWriter(t, &plan.Plan{}, handlers.MissingPause)
	if got := produce(t, w, "gone"); got[0] == "written" {
		t.Fatal(got)
	}
	if _, err := admin.CreateTopics(t.Context(), []string{"gone"}, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); produce(t, w, "gone")[0] != "written"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the topic is there, and its record still waits")
		}
	}
}

// TestANameThatNoTopicCanHave is that of another topic but for dots: waiting for it
// would be for ever.
func TestANameThatNoTopicCanHave(t *testing.T) {
	for _, policy := range []string{handlers.MissingPause, handlers.MissingCreate} {
		w, _, admin := newWriter(t, &plan.Plan{}, policy)
		if _, err := admin.CreateTopics(t.Context(), []string{"a.b"}, 1, 1, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if diff := cmp.Diff([]string{`not_applied scope="" not_sent=true`, "written"}, produce(t, w, "a_b", "a.b")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", policy, diff)
			}
		}
	}
}

// TestATopicThatWentAway is found out by the producer, and then looked for again.
func TestATopicThatWentAway(t *testing.T) {
	w, next, _ := newWriter(t, &plan.Plan{}, handlers.MissingPause)
	if got := produce(t, w, "here"); got[0] != "written" {
		t.Fatal(got)
	}
	next.fail = &handlers.Failure{Class: handlers.Infrastructure, Scope: "here", Err: errors.New("no such topic")}
	if diff := cmp.Diff([]string{`infrastructure scope="here" not_sent=false`}, produce(t, w, "here")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w.book.known["here"] {
		t.Error("the topic is still taken to be there")
	}
}

// TestNewTopicsAreBounded: names come from records, which may never end. What is
// declared or there counts for nothing.
func TestNewTopicsAreBounded(t *testing.T) {
	w, _, admin := newWriter(t, &plan.Plan{Topics: []plan.Topic{{Name: "declared", Partitions: 1}}}, handlers.MissingCreate)
	p := w.WithMissingTopic("", 2)
	refused := `not_applied scope="" not_sent=true`
	got := produce(t, p, "one", "two", "three", "here", "declared", "one", "four")
	if diff := cmp.Diff([]string{"written", "written", refused, "written", "written", "written", refused}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	err := p.Produce(t.Context(), []*handlers.Record{{Topic: "five", Partition: -1}})
	if f := handlers.FailureOf(err, 0); f == nil || !strings.Contains(f.Err.Error(), `"five" does not exist, and this process has made 2 new ones, all that max_new_topics allows`) {
		t.Errorf("said %v", f)
	}
	// One that somebody else makes is there.
	if _, err := admin.CreateTopics(t.Context(), []string{"three"}, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); produce(t, p, "three")[0] != "written"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the topic is there, and its record is refused")
		}
	}
}
