package kafka

import (
	"context"
	"errors"
	"hash/crc32"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

const (
	// oddPatience is how long the cluster is asked to take a record of an odd
	// time, as long as the producer tries; oddAgain is how long between two tries.
	oddPatience = 2 * time.Minute
	oddAgain    = 250 * time.Millisecond
)

// oddWriter writes records whose time the producer can't encode, one a request.
// Each is the first of a producer of its own, so that trying again can't repeat it.
type oddWriter struct {
	cluster cluster
	logger  *slog.Logger

	mu     sync.Mutex
	client *kgo.Client
}

func (w *oddWriter) open() (*kgo.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		return w.client, nil
	}
	var err error
	w.client, err = kgo.NewClient(w.cluster.kgoOptions(w.logger)...)
	return w.client, err
}

func (w *oddWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		w.client.Close()
	}
}

// write writes m's record and sets its place. taken tells, where it failed,
// whether it may have been sent.
func (w *oddWriter) write(ctx context.Context, r *handlers.Record, m *sarama.ProducerMessage) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, oddPatience)
	defer cancel()
	client, err := w.open()
	if err != nil {
		return false, err
	}
	init := kmsg.NewPtrInitProducerIDRequest()
	producer, err := init.RequestWith(ctx, client)
	if err != nil {
		return false, w.cluster.explain(err)
	}
	if producer.ErrorCode != 0 {
		return false, sarama.KError(producer.ErrorCode)
	}
	batch := oddBatch(r, producer.ProducerID, producer.ProducerEpoch)
	m.Partition = anyPartition
	for {
		var leader int32
		var id [16]byte
		if leader, id, err = w.leader(ctx, client, r, m); err == nil {
			taken = true
			m.Offset, err = produceOne(ctx, client, leader, id, m, batch)
		}
		code, answered := errors.AsType[sarama.KError](err)
		if err == nil || answered && (!kerr.IsRetriable(kerr.ErrorForCode(int16(code))) ||
			code == sarama.ErrUnknownTopicOrPartition && !taken) {
			return taken, err
		}
		if rest(ctx, oddAgain) != nil {
			return taken, err
		}
	}
}

// leader finds where the record belongs, and who leads that partition.
func (w *oddWriter) leader(ctx context.Context, client *kgo.Client, r *handlers.Record,
	m *sarama.ProducerMessage) (leader int32, id [16]byte, err error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(r.Topic)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, id, w.cluster.explain(err)
	}
	if len(resp.Topics) != 1 {
		return 0, id, sarama.ErrIncompleteResponse
	}
	t := resp.Topics[0]
	if t.ErrorCode != 0 {
		return 0, id, sarama.KError(t.ErrorCode)
	}
	if len(t.Partitions) == 0 {
		return 0, id, sarama.ErrLeaderNotAvailable
	}
	if m.Partition == anyPartition {
		at := kgo.StickyKeyPartitioner(nil).ForTopic(r.Topic).Partition(&kgo.Record{Key: r.Key}, len(t.Partitions))
		m.Partition = int32(at)
	}
	for _, p := range t.Partitions {
		if p.Partition == m.Partition && p.Leader >= 0 {
			return p.Leader, t.TopicID, nil
		}
	}
	return 0, id, sarama.ErrLeaderNotAvailable
}

func produceOne(ctx context.Context, client *kgo.Client, leader int32, id [16]byte, m *sarama.ProducerMessage,
	batch []byte) (offset int64, err error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(ackTimeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = m.Topic, id
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = m.Partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := client.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return -1, err
	}
	resp, ok := answer.(*kmsg.ProduceResponse)
	if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return -1, sarama.ErrIncompleteResponse
	}
	switch got := resp.Topics[0].Partitions[0]; sarama.KError(got.ErrorCode) {
	case sarama.ErrNoError:
		return got.BaseOffset, nil
	case sarama.ErrDuplicateSequenceNumber:
		return -1, nil
	default:
		return -1, sarama.KError(got.ErrorCode)
	}
}

// oddBatch is a record batch of one record, as Kafka stores it.
func oddBatch(r *handlers.Record, producer int64, epoch int16) []byte {
	record := kmsg.Record{Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	// The length, of one byte while it is 0, is that of what follows it.
	record.Length = int32(len(record.AppendTo(nil)) - 1)
	ms := r.Time.UnixMilli()
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, FirstTimestamp: ms, MaxTimestamp: ms,
		ProducerID: producer, ProducerEpoch: epoch, NumRecords: 1, Records: record.AppendTo(nil),
	}
	// The batch's length counts from behind itself, and its checksum from behind
	// itself again.
	const lengthEnd, sumEnd = 12, 21
	bytes := batch.AppendTo(nil)
	batch.Length = int32(len(bytes) - lengthEnd)
	batch.CRC = int32(crc32.Checksum(bytes[sumEnd:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(bytes[:0])
}

// odd writes a record of an odd time.
func (s *sending) odd(ctx context.Context, i int) {
	if s.skip(i, topicPartition{s.records[i].Topic, anyPartition}) {
		return
	}
	if taken, err := s.p.odd.write(ctx, s.records[i], &s.messages[i]); err != nil {
		s.fail(i, classify(err, s.records[i].Topic, taken))
	}
}

// Kafka's times are milliseconds in 64 bits. Both client libraries calculate in
// nanoseconds of 64 bits, which hold the years 1677 to 2262 only, and the writing
// one takes nothing before 1970. The reading one lets the product overflow, which
// loses little where the factor's inverse is known; the writing one is gone round here.

// lastPlain is the last millisecond whose nanoseconds fit 64 bits.
const lastPlain = math.MaxInt64 / int64(time.Millisecond)

// oddTime tells whether the producer can't encode a record of this time: with it
// in a request, the request would fail for everybody who shares it.
func oddTime(t time.Time) bool {
	ms := t.UnixMilli()
	return !t.IsZero() && (ms < 0 || ms > lastPlain)
}

// exactTime is the time that a fetched record has, where the client's product of
// milliseconds and a million overflowed: t is what 64 bits kept of it. A million
// is 2⁶ times 5⁶, so the six highest bits are lost, and for times of the next
// four million years, and the last, nothing is.
func exactTime(t time.Time) time.Time {
	const lost, inverse = 6, 0x790fb65668c26139 // of 5⁶, modulo 2⁶⁴
	kept := uint64(t.UnixNano()>>lost) * inverse
	return time.UnixMilli(int64(kept<<lost) >> lost)
}
