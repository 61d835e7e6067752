package kafka

import (
	"bytes"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

func TestAcknowledgedStaysSoBesideAMissingTopic(t *testing.T) {
	b := newBed(t)
	b.topic("logs_warn", 1)
	p := b.publisher()
	err := p.Produce(t.Context(), []*handlers.Record{
		{Topic: "logs_error", Key: []byte("host-1"), Value: []byte("e")},
		{Topic: "logs_warn", Key: []byte("host-1"), Value: []byte("w")},
	})
	if d := cmp.Diff([]string{"infrastructure", "ok"}, classesOf(err, 2)); d != "" {
		t.Errorf("outcomes (-want +got):\n%s\n%v", d, err)
	}
	if f := handlers.FailureOf(err, 0); f != nil && (!f.NotSent || f.Scope != "logs_error") {
		t.Errorf("%+v: a record for a topic that does not exist was never sent, and only that topic is away", f)
	}
	if n := len(b.readAll("logs_warn")); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

// A record that travels alone splits the batch: what is before it and behind it
// goes to other topics all the same.
func TestMissingTopicDoesNotHoldOthers(t *testing.T) {
	b := newBed(t)
	b.topic("there", 1)
	large := make([]byte, largeRecord)
	p := b.publisher()
	err := p.Produce(t.Context(), []*handlers.Record{
		{Topic: "missing", Key: []byte("k"), Value: []byte("1")},
		{Topic: "there", Key: []byte("k"), Value: []byte("2")},
		{Topic: "missing", Key: []byte("k"), Value: large},
		{Topic: "missing", Key: []byte("k"), Value: []byte("4")},
		{Topic: "there", Key: []byte("k"), Value: []byte("5")},
	})
	want := []string{"infrastructure", "ok", "not_attempted", "not_attempted", "ok"}
	if d := cmp.Diff(want, classesOf(err, 5)); d != "" {
		t.Errorf("outcomes (-want +got):\n%s\n%v", d, err)
	}
	// After a few failures the library does not look for the topic at all.
	for range 5 {
		err = p.Produce(t.Context(), []*handlers.Record{{Topic: "missing", Key: []byte("k")}})
		if f := handlers.FailureOf(err, 0); f == nil || f.Scope != "missing" || !f.NotSent {
			t.Fatalf("%+v, want a failure of one topic, not sent", f)
		}
	}
	if n := len(b.readAll("there")); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// A batch that was refused for one record's fault is sent again record by record.
// What followed it and was acknowledged meanwhile is not.
func TestAcknowledgedStaysSoBehindARefusedBatch(t *testing.T) {
	b := newBed(t)
	b.topic("out", 1)
	b.cluster.ControlKey(kmsg.Produce.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		return produceAnswer(kreq, kerr.InvalidRecord.Code), nil, true
	})
	records := make([]*handlers.Record, 6)
	for i := range records {
		// Two fill a request.
		records[i] = &handlers.Record{Topic: "out", Key: []byte("k"), Value: bytes.Repeat([]byte{byte('0' + i)}, batchBytes*2/5)}
	}
	if err := b.publisher().Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	times := map[byte]int{}
	for _, r := range b.readAll("out") {
		times[r.Value[0]]++
	}
	if d := cmp.Diff(map[byte]int{'0': 1, '1': 1, '2': 1, '3': 1, '4': 1, '5': 1}, times); d != "" {
		t.Errorf("how often each record is in the topic (-want +got):\n%s", d)
	}
}

func TestNotSentIsSaidOfWhatStayedHere(t *testing.T) {
	unsent := func(err error) bool {
		f := handlers.FailureOf(err, 0)
		return f != nil && f.Class == handlers.Infrastructure && f.NotSent
	}
	away, err := NewPublisher(Settings{Brokers: []string{"127.0.0.1:1"}}, newBed(t).deps())
	if err != nil {
		t.Fatal(err)
	}
	if err := away.Produce(t.Context(), numberedRecords("out", 1)); !unsent(err) {
		t.Errorf("without a broker: %v, want a failure that was not sent", err)
	}
	if err := away.Close(); err != nil {
		t.Error(err)
	}
	if err := away.Produce(t.Context(), numberedRecords("out", 1)); !unsent(err) {
		t.Errorf("closed: %v, want a failure that was not sent", err)
	}
	b := newBed(t)
	b.topic("out", 1)
	b.failProduce(kerr.NotEnoughReplicasAfterAppend.Code)
	p := b.publisher()
	p.shared.config = func() (*sarama.Config, error) {
		conf, err := p.shared.cluster.saramaConfig()
		conf.Producer.Retry.Max = 1
		return conf, err
	}
	err = p.Produce(t.Context(), numberedRecords("out", 1))
	if f := handlers.FailureOf(err, 0); f == nil || f.Class != handlers.Infrastructure || f.NotSent {
		t.Errorf("appended to too few replicas: %v, want a failure of unknown fate", err)
	}
}
