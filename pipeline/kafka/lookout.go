package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers"
)

// lookout looks at what is stored of a partition, where what a client reads of it is
// not all.
type lookout struct {
	client  *kgo.Client
	cluster cluster
	in      *intake
}

// unread are offsets of a stored batch that can't be read: from first on, up to next.
type unread struct {
	first, next int64
	epoch       int32
	err         error
	// behind tells that records lie before it that are still to be delivered.
	behind bool
}

// slot is the record that is handed out in place of what can't be read.
func (u *unread) slot(topic string, number int32) slot {
	return slot{
		record: handlers.Record{Topic: topic, Partition: number, Offset: u.first},
		epoch:  u.epoch, gap: &gap{next: u.next, err: u.err},
	}
}

// find fetches what is stored at an offset and finds the first batch that can't
// be read, nil where all can.
func (l lookout) find(ctx context.Context, topic string, number int32, id [16]byte, from int64) (*unread, error) {
	stored, err := l.stored(ctx, topic, number, id, from)
	if err != nil {
		return nil, err
	}
	batches := stored.RecordBatches
	for {
		batch, size := nextBatch(batches)
		if batch == nil {
			return nil, nil
		}
		bad, err := l.judge(topic, number, batch, batches[:size], from)
		if err != nil {
			return nil, err
		}
		if bad != nil {
			good := stored.RecordBatches[:len(stored.RecordBatches)-len(batches)]
			bad.behind = bad.behind || l.holds(topic, number, stored, good, from)
			if !bad.behind {
				bad.first = max(from, batch.FirstOffset)
			}
			return bad, nil
		}
		batches = batches[size:]
	}
}

// next is where the first record lies, or what can't be read, from an offset on and before
// an end; it is the end where there is none.
func (l lookout) next(ctx context.Context, topic string, number int32, id [16]byte, from, end int64) (int64, error) {
	for from < end {
		stored, err := l.stored(ctx, topic, number, id, from)
		if err != nil {
			return from, err
		}
		behind := from
		for rest := stored.RecordBatches; ; {
			batch, size := nextBatch(rest)
			if batch == nil {
				break
			}
			if l.holds(topic, number, stored, rest[:size], from) {
				return from, nil
			}
			behind = max(behind, batch.FirstOffset+int64(max(0, batch.LastOffsetDelta))+1)
			rest = rest[size:]
		}
		if behind == from {
			return end, nil
		}
		from = behind
	}
	return end, nil
}

// nextBatch is the batch that data begins with, and its size; nil where there is no
// whole one of the format that Kafka has had since 0.11.
func nextBatch(data []byte) (*kmsg.RecordBatch, int) {
	const lengthEnd, magicAt = 12, 16
	if len(data) <= magicAt || data[magicAt] != 2 {
		return nil, 0
	}
	size := int64(int32(binary.BigEndian.Uint32(data[lengthEnd-4:]))) + lengthEnd
	var batch kmsg.RecordBatch
	if size <= magicAt || size > int64(len(data)) || batch.ReadFrom(data[:size]) != nil {
		return nil, 0
	}
	return &batch, int(size)
}

// judge reads one batch as the client does, and tells what of it can't be read.
func (l lookout) judge(topic string, number int32, batch *kmsg.RecordBatch, stored []byte, from int64) (*unread,
	error) {
	last := batch.FirstOffset + int64(max(0, batch.LastOffsetDelta))
	if last < from {
		return nil, nil
	}
	read := 0
	fetched, _ := kgo.ProcessFetchPartition(
		kgo.ProcessFetchPartitionOpts{Topic: topic, Partition: number, Offset: from, KeepControlRecords: true},
		&kmsg.FetchResponseTopicPartition{Partition: number, RecordBatches: stored}, onlooker{l.in},
		func(m kgo.FetchBatchMetrics) { read = m.NumRecords })
	if errors.As(fetched.Err, new(*errNoMemory)) {
		return nil, fetched.Err
	}
	bad := &unread{first: max(from, batch.FirstOffset), next: last + 1, epoch: batch.PartitionLeaderEpoch}
	var large *errTooLarge
	offsets := func() string { return fmt.Sprintf("the batch at offsets %d to %d", batch.FirstOffset, last) }
	switch {
	case errors.As(fetched.Err, &large):
		bad.err = fmt.Errorf("%s can't be held: %w", offsets(), large)
	case fetched.Err != nil:
		bad.err = fmt.Errorf("%s can't be read: %w", offsets(), fetched.Err)
	case read < int(batch.NumRecords):
		bad.err = fmt.Errorf("%s holds %d records, of which only the first %d can be read", offsets(), batch.NumRecords,
			read)
		// Of a transaction it is not known here whether its records may be seen.
		if n := len(fetched.Records); n > 0 && batch.Attributes&transactional == 0 {
			bad.first, bad.behind = fetched.Records[n-1].Offset+1, true
			bad.next = max(bad.next, bad.first+1)
		}
	default:
		return nil, nil
	}
	return bad, nil
}

// transactional is the attribute of batches of transactions.
const transactional = 1 << 4

// holds tells whether the client would hand out any record of batches, or an error.
func (l lookout) holds(topic string, number int32, stored *kmsg.FetchResponseTopicPartition, batches []byte,
	from int64) bool {
	fetched, _ := kgo.ProcessFetchPartition(
		kgo.ProcessFetchPartitionOpts{Topic: topic, Partition: number, Offset: from,
			IsolationLevel: kgo.ReadCommitted()},
		&kmsg.FetchResponseTopicPartition{Partition: number, RecordBatches: batches,
			AbortedTransactions: stored.AbortedTransactions},
		onlooker{l.in}, nil)
	return len(fetched.Records) > 0 || fetched.Err != nil
}

// stored fetches what is stored of a partition at an offset.
func (l lookout) stored(ctx context.Context, name string, number int32, id [16]byte,
	from int64) (*kmsg.FetchResponseTopicPartition, error) {
	leader, _, err := l.client.PartitionLeader(name, number)
	if err != nil {
		return nil, fmt.Errorf("look for the leader: %w", err)
	}
	if leader < 0 {
		return nil, kerr.LeaderNotAvailable
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, partitionFetch
	req.IsolationLevel, req.SessionEpoch = 1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = name, id
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = number, from, partitionFetch
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	answer, err := l.client.Broker(int(leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, l.cluster.explain(err)
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker does not answer what was asked")
	}
	found := &resp.Topics[0].Partitions[0]
	return found, kerr.ErrorForCode(found.ErrorCode)
}

// onlooker decompresses what is only looked at.
type onlooker struct{ in *intake }

func (o onlooker) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	raw, taken, err := o.in.open(src, codec)
	o.in.share.Give(taken)
	return raw, err
}
