package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/topics"
)

// topicWriter is a Producer that sends nothing to a topic before it is known to
// exist: the client's own way is to try for seconds and then to fail what it was
// given, with whatever else was in the call. What is missing fails alone, as one
// topic's fault, or is made.
type topicWriter struct {
	next   handlers.Producer
	book   *topicBook
	policy string
	// mostNew is how many topics may be made in all.
	mostNew int
}

// WithMissingTopic is the same writer with a policy of its own.
func (w *topicWriter) WithMissingTopic(policy string, mostNew int) handlers.Producer {
	return &topicWriter{next: w.next, book: w.book, policy: cmp.Or(policy, w.policy), mostNew: mostNew}
}

// Produce passes on what can be written and fails the rest.
func (w *topicWriter) Produce(ctx context.Context, records []*handlers.Record) error {
	asked := map[string]*handlers.Failure{}
	failed := map[int]*handlers.Failure{}
	there := make([]*handlers.Record, 0, len(records))
	at := make([]int, 0, len(records))
	for i, rec := range records {
		f, known := asked[rec.Topic]
		if !known {
			f = w.book.missing(ctx, rec.Topic, w.policy, w.mostNew)
			asked[rec.Topic] = f
		}
		if f != nil {
			failed[i], rec.Offset = f, -1
			continue
		}
		there, at = append(there, rec), append(at, i)
	}
	var err error
	if len(there) > 0 {
		err = w.next.Produce(ctx, there)
	}
	if err == nil && len(failed) == 0 {
		return nil
	}
	for j, i := range at {
		if f := handlers.FailureOf(err, j); f != nil {
			failed[i] = w.book.judge(records[i].Topic, f)
		}
	}
	return &handlers.BatchError{Failed: failed}
}

// topicBook remembers which topics exist.
type topicBook struct {
	admin   *kafka.Admin
	wants   map[string]topics.Want
	options topics.Options
	log     *slog.Logger

	mu    sync.RWMutex
	known map[string]bool
	vain  map[string]vainLook
	// made are the topics that this process made, or tries to, because a record
	// names them.
	made map[string]bool
}

// vainLook is one for a topic that was not there.
type vainLook struct {
	at time.Time
	// never tells that the cluster can't have a topic of this name.
	never error
}

const (
	// lookAgain is how long a topic that was not there is not looked for again.
	lookAgain = time.Second
	// topicPatience bounds one look for a topic.
	topicPatience = 10 * time.Second
	// mostVain bounds how many missing topics are remembered: their names come
	// from records.
	mostVain = 1000
)

// newTopicBook begins with the topics that are known to be there.
func newTopicBook(admin *kafka.Admin, plan *plan.Plan, log *slog.Logger) *topicBook {
	b := &topicBook{
		admin: admin, options: topics.OptionsOf(plan), log: log,
		wants: map[string]topics.Want{}, known: map[string]bool{}, vain: map[string]vainLook{}, made: map[string]bool{},
	}
	for _, w := range topics.Wanted(plan) {
		b.wants[w.Name] = w
		b.known[w.Name] = plan.Embedded != "" // made at the start
	}
	return b
}

// missing says why nothing can be written to a topic now, nil where it is there.
func (b *topicBook) missing(ctx context.Context, topic, policy string, mostNew int) *handlers.Failure {
	b.mu.RLock()
	known, gone := b.known[topic], b.vain[topic]
	b.mu.RUnlock()
	if known {
		return nil
	}
	if time.Since(gone.at) < lookAgain {
		return waits(topic, policy, gone.never)
	}
	ctx, cancel := context.WithTimeout(ctx, topicPatience)
	defer cancel()
	found, err := b.admin.Topics(ctx, topic)
	switch {
	case kafka.NotAllowed(err):
		return nil // the producer is told the same, if it is true of writing
	case err != nil:
		return &handlers.Failure{Class: handlers.Infrastructure, NotSent: true,
			Err: fmt.Errorf("write to kafka: nothing was sent: %w", err)}
	case len(found) > 0:
		b.note(topic, true, nil)
		return nil
	case policy == handlers.MissingCreate:
		return b.create(ctx, topic, mostNew)
	}
	if err = b.admin.CheckTopic(ctx, topic); !kafka.NeverTopic(err) {
		err = nil // whatever else it is, somebody may be able to make the topic
	}
	b.note(topic, false, err)
	return waits(topic, policy, err)
}

// create makes a topic, as topics: says where it says something.
func (b *topicBook) create(ctx context.Context, topic string, mostNew int) *handlers.Failure {
	want, declared := b.wants[topic]
	if !declared {
		want = topics.Want{Name: topic}
		if err := b.count(topic, mostNew); err != nil {
			b.note(topic, false, err)
			return waits(topic, handlers.MissingCreate, err)
		}
	}
	plan, err := topics.Compare(ctx, b.admin, []topics.Want{want}, b.options)
	if err == nil {
		err = topics.Apply(ctx, b.admin, plan.Only(topics.Create), func(c topics.Change) {
			b.log.Info("a topic was made for records that name it", "topic", c.Topic)
		})
	}
	if err == nil {
		b.note(topic, true, nil)
		return nil
	}
	b.uncount(topic)
	never := err
	if !kafka.NeverTopic(err) && !kafka.RefusedByPolicy(err) {
		never = nil
	}
	b.note(topic, false, never)
	if never != nil {
		return waits(topic, handlers.MissingCreate, never)
	}
	return &handlers.Failure{Class: handlers.Infrastructure, Scope: topic, NotSent: true,
		Err: fmt.Errorf("write to kafka: %w", err)}
}

// count takes one of the topics that may be made, and tells where none is left: their
// names come from records, which may never end.
func (b *topicBook) count(topic string, mostNew int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.made[topic] && len(b.made) >= mostNew {
		return fmt.Errorf("the topic %q does not exist, and this process has made %d new ones, all that "+
			"max_new_topics allows: make it, or raise that", topic, len(b.made))
	}
	b.made[topic] = true
	return nil
}

func (b *topicBook) uncount(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.made, topic)
}

// note remembers what was found.
func (b *topicBook) note(topic string, there bool, never error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.vain, topic)
	if there {
		b.known[topic] = true
		return
	}
	delete(b.known, topic)
	if len(b.vain) >= mostVain {
		clear(b.vain)
	}
	b.vain[topic] = vainLook{at: time.Now(), never: never}
}

// judge has a topic looked for again before the next write where the producer found
// it away.
func (b *topicBook) judge(topic string, f *handlers.Failure) *handlers.Failure {
	if f.Scope == topic {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.known, topic)
	}
	return f
}

// waits is the failure of a record whose topic does not exist.
func waits(topic, policy string, never error) *handlers.Failure {
	f := &handlers.Failure{Class: handlers.NotApplied, NotSent: true, Err: never}
	switch {
	case never != nil:
	case policy == handlers.MissingDeadLetter:
		f.Err = fmt.Errorf("the topic %q does not exist, and missing_topic is dead_letter", topic)
	default:
		f.Class, f.Scope = handlers.Infrastructure, topic
		f.Err = fmt.Errorf("the topic %q does not exist: what goes to it waits until it is made", topic)
	}
	return f
}

var _ handlers.TopicPolicy = (*topicWriter)(nil)
