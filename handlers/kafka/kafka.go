// Package kafka is the sink that writes records to a topic.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millrace/millrace/handlers"
)

// Config is the sink as it stands in the file.
type Config struct {
	Topic handlers.Template `yaml:"topic" required:"true" place:"topic" doc:"The topic to write to, such as 'orders_${payload.region}'."`
	Key   handlers.Template `yaml:"key" doc:"The key of the record that is written. Without it, the record keeps its own, also where it has none."`
	// MissingTopic is empty for what the cluster is used to.
	MissingTopic string                       `yaml:"missing_topic" enum:"pause,create,dead_letter" doc:"What a topic means that has a legal name and does not exist. With 'pause' the records of that topic wait for it and others flow on, up to the bound of unfinished records; with 'create' it is made, as 'topics:' says of it or as is the cluster's default; with 'dead_letter' its records go to the dead letters. The default is 'pause' on a cluster and 'create' on the embedded broker."`
	MaxNewTopics int                          `yaml:"max_new_topics" default:"100" min:"0" doc:"How many topics that 'topics:' does not name a process makes at most, for all sinks together. Past it the records of further ones go to the dead letters, so that a field with endless values in 'topic' does not fill the broker."`
	Headers      map[string]handlers.Template `yaml:"headers" place:"bytes" doc:"Headers to set, by name. One that the record has already is replaced, the others stay."`
}

// Check finds what the types alone do not tell.
func (c *Config) Check() []handlers.Issue {
	if _, ok := c.Headers[""]; ok {
		return []handlers.Issue{{Field: "headers", Message: "a header needs a name"}}
	}
	return nil
}

const doc = "Writes each record to a topic of the configured cluster. " +
	"Value, headers and timestamp are the record's own as `transform` left them; headers keep their order and " +
	"repeats, and a tombstone stays one. " +
	"A `traceparent` and `tracestate` that the source's record had are written where it has none any more. " +
	"The key chooses the partition as in every other client (murmur2 hash); records without a key are spread."

const delivery = "A record counts as written once all in-sync replicas have it (acks=all, with an idempotent " +
	"producer). Records of one lane go out together, up to 1,024 at once, and records of one key keep their " +
	"order.\n\n" +
	"- *Refused* (the broker finds the record too large, or the record invalid, or can't have a topic of that name): " +
	"the record goes to the dead letters at once.\n" +
	"- *Down* (no broker reachable, a connection lost, too few replicas in sync): the pipeline pauses until that is " +
	"over, and nothing goes to the dead letters.\n" +
	"- *One topic is away* (it does not exist, or there is no permission to write to it): its records wait, or as " +
	"`missing_topic` says; others flow on.\n" +
	"- *Too many new topics* (`max_new_topics`): the records of topics that are not made go to the dead letters; " +
	"those of topics that are there flow on.\n" +
	"- *Not to be rendered*: a topic that depends on the record can't be one that the pipeline reads, its " +
	"dead-letter topic, or one whose name begins with `__`; such a record goes the way of `on_error`.\n\n" +
	"A record whose acknowledgement was lost is sent again, and may then be in the topic twice. " +
	"What was acknowledged is not, also where a record before it failed: that one then comes after it.\n\n" +
	"A timestamp is written as it is, to the millisecond. Records of times before 1970 or after 2262 go out one by one."

const example = "kafka:\n  topic: logs_${payload.severity}\n"

// Spec describes the sink.
func Spec() handlers.Spec {
	spec := handlers.Define("kafka", doc, example,
		func(config Config, env handlers.Env) (handlers.Sink, error) {
			if env.Producer == nil {
				return nil, errors.New("there is no Kafka cluster to write to")
			}
			s := &sink{config: config, headerNames: slices.Sorted(maps.Keys(config.Headers)), producer: env.Producer}
			if choosy, ok := env.Producer.(handlers.TopicPolicy); ok {
				s.producer = choosy.WithMissingTopic(config.MissingTopic, config.MaxNewTopics)
			}
			return s, nil
		})
	spec.Delivery = delivery
	return spec
}

type sink struct {
	config      Config
	headerNames []string
	producer    handlers.Producer
}

// Render makes the record to write. Its JSON is a record's.
func (s *sink) Render(view handlers.View) (any, error) {
	source := view.Record()
	topic, err := view.Text(s.config.Topic)
	if err != nil {
		return nil, fmt.Errorf("topic: %w", err)
	}
	record := &handlers.Record{
		Topic: topic, Partition: -1, Offset: -1, Time: source.Time,
		Key: source.Key, Value: source.Value, Headers: source.Headers,
	}
	if !s.config.Key.IsZero() {
		key, err := view.Text(s.config.Key)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		record.Key = []byte(key)
	}
	if len(s.headerNames) > 0 {
		if record.Headers, err = s.headers(view, source.Headers); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// headers are the source's without those that the configuration sets, and then
// these in alphabetical order.
func (s *sink) headers(view handlers.View, source []handlers.Header) ([]handlers.Header, error) {
	merged := make([]handlers.Header, 0, len(source)+len(s.headerNames))
	for _, h := range source {
		if _, replaced := s.config.Headers[h.Key]; !replaced {
			merged = append(merged, h)
		}
	}
	for _, name := range s.headerNames {
		value, err := view.Text(s.config.Headers[name])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		merged = append(merged, handlers.Header{Key: name, Value: []byte(value)})
	}
	return merged, nil
}

// Scope is the topic that a request goes to: each may be away on its own.
func (s *sink) Scope(request any) string { return request.(*handlers.Record).Topic }

// Write produces the batch and answers each call with topic/partition/offset.
func (s *sink) Write(ctx context.Context, batch []handlers.Call) error {
	// Produce sets the place of each record, and a request must stay as it is
	// for a second attempt.
	copies := make([]handlers.Record, len(batch))
	records := make([]*handlers.Record, len(batch))
	for i := range batch {
		copies[i] = *batch[i].Request.(*handlers.Record)
		copies[i].Headers = batch[i].Trace.AddTo(copies[i].Headers)
		records[i] = &copies[i]
	}
	err := s.producer.Produce(ctx, records)
	for i, r := range records {
		if handlers.FailureOf(err, i) == nil {
			batch[i].Answer = place(r)
		}
	}
	return err
}

// Rehearse judges trouble as the producer does: it tries for long itself, and
// what it gives up is the cluster's fault, whatever it was.
func (c *Config) Rehearse(t handlers.Trouble) (*handlers.Failure, bool) {
	switch {
	case t.Status != 0:
		return nil, false
	case t.Refused:
		return handlers.Unreachable(errors.New("write to kafka: no broker can be reached")), true
	case t.Timeout:
		return handlers.Unavailable(errors.New("write to kafka: whether it was written is unknown: no answer in time")),
			true
	default:
		return handlers.Unavailable(errors.New("write to kafka: whether it was written is unknown: the connection " +
			"was lost")), true
	}
}

func place(r *handlers.Record) string {
	position := strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	// A topic's name may be 249 bytes long, and 64 are kept: the position tells
	// more than the end of the name.
	return r.Topic[:min(len(r.Topic), 63-len(position))] + "/" + position
}

// Probe asks for the topic, where its name is the same for every record.
func (s *sink) Probe(ctx context.Context) error {
	cluster, ok := s.producer.(handlers.TopicProber)
	if !ok || !s.config.Topic.Constant {
		return nil
	}
	if err := cluster.ProbeTopic(ctx, s.config.Topic.Prefix); err != nil {
		return &handlers.FieldError{Field: "topic", Err: err}
	}
	return nil
}

// Close does nothing: the producer belongs to the process.
func (s *sink) Close(context.Context) error { return nil }
