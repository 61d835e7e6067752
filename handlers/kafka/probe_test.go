package kafka_test

import (
	"context"
	"errors"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/kafka"
)

// knowing is a cluster that tells which topics it has.
type knowing struct {
	*cluster
	asked []string
}

var errMissing = errors.New("missing")

func (k *knowing) ProbeTopic(_ context.Context, topic string) error {
	k.asked = append(k.asked, topic)
	if topic == "there" {
		return nil
	}
	return errMissing
}

func TestProbeAsksForTheTopic(t *testing.T) {
	for topic, want := range map[handlers.Template]error{
		handlertest.Constant("there"): nil, handlertest.Constant("gone"): errMissing, {Source: "t_${key}", Prefix: "t_"}: nil,
	} {
		k := &knowing{cluster: &cluster{}}
		sink, err := kafka.Spec().Open(&kafka.Config{Topic: topic}, handlers.Env{Producer: k})
		if err != nil {
			t.Fatal(err)
		}
		err = sink.(handlers.Prober).Probe(t.Context())
		if field, ok := errors.AsType[*handlers.FieldError](err); !errors.Is(err, want) || ok != (want != nil) || ok && field.Field != "topic" {
			t.Errorf("%s: got %v, want %v", topic.Source, err, want)
		}
		if topic.Constant != (len(k.asked) == 1) {
			t.Errorf("%s: asked for %q", topic.Source, k.asked)
		}
	}
}
