package embedded

import (
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// inspect keeps from kfake what it can't cope with, and takes from requests what
// would cost more than it should. It returns the answer where the request goes no
// further, and an error where its sender is to be cut off.
func (g *gate) inspect(req *request) (kmsg.Response, error) {
	if repeats(req.body) {
		return nil, errRefused
	}
	switch r := req.body.(type) {
	case *kmsg.ProduceRequest:
		req.silent = r.Acks == 0
		g.produced(int64(len(req.raw)))
		g.inspectProduce(req, r)
	case *kmsg.FetchRequest:
		// No sessions: kfake keeps whatever a session names. A client that asks
		// for one and gets none names its partitions each time.
		if r.SessionEpoch == 0 {
			r.SessionID, r.SessionEpoch = 0, -1
		}
		// kfake holds a fetch for as long as it may wait, also once its client is
		// gone, and an answer until it is read.
		r.MaxWaitMillis = min(r.MaxWaitMillis, mostWaitMillis)
		r.MaxBytes = min(r.MaxBytes, g.fetchBytes())
		req.rewrite()
	case *kmsg.InitProducerIDRequest:
		return g.inspectInit(r), nil
	case *kmsg.OffsetCommitRequest:
		return g.inspectCommit(r), nil
	case *kmsg.TxnOffsetCommitRequest:
		if !g.admitGroup(r.Group) {
			return nil, errRefused
		}
	case *kmsg.AddOffsetsToTxnRequest:
		if !g.admitGroup(r.Group) {
			return nil, errRefused
		}
	case *kmsg.JoinGroupRequest:
		if answer := g.inspectJoin(req, r); answer != nil {
			return answer, nil
		}
		req.wait = waiting{group: r.Group, member: r.MemberID, instance: r.InstanceID, generation: -1}
	case *kmsg.SyncGroupRequest:
		req.wait = waiting{group: r.Group, member: r.MemberID, instance: r.InstanceID, generation: r.Generation}
	}
	return nil, nil
}

// mostWaitMillis bounds how long a fetch waits for records.
const mostWaitMillis = 30_000

// inspectProduce spoils the batches that Apache Kafka would refuse so that kfake does
// as well, with the same error, and takes the others of the request.
func (g *gate) inspectProduce(req *request, r *kmsg.ProduceRequest) {
	for _, topic := range r.Topics {
		for _, partition := range topic.Partitions {
			fault := g.batches.check(partition.Records)
			if fault == nil && isTransactional(partition.Records) && !g.mayTransact(partition.Records) {
				fault = &batchFault{reason: "the producer has no transactional id"}
			}
			if fault == nil {
				continue
			}
			if req.spoilt == nil {
				req.spoilt = map[place]string{}
			}
			req.spoilt[place{topic.Topic, partition.Partition}] = fault.reason
			spoil(partition.Records, fault.corrupt) // within the frame
		}
	}
}

// mayTransact tells whether the batch's producer got its id for transactions: kfake
// takes the batch of another as the begin of one that nothing ever ends, and who
// reads what is committed would stand before it.
func (g *gate) mayTransact(batch []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.transactional[int64(binary.BigEndian.Uint64(batch[atProducer:]))]
	return ok
}

// outgoing looks at an answer of kfake's before it is sent.
func (g *gate) outgoing(req *request, p []byte) []byte {
	if req.body == nil || len(p) < 8 {
		return p
	}
	switch r := req.body.(type) {
	case *kmsg.ApiVersionsRequest:
		return g.advertise(req, r, p)
	case *kmsg.InitProducerIDRequest:
		var answer kmsg.InitProducerIDResponse
		if r.TransactionalID != nil && decodeAnswer(&answer, r.Version, p) && answer.ErrorCode == 0 {
			g.transacts(answer.ProducerID)
		}
	case *kmsg.EndTxnRequest:
		var answer kmsg.EndTxnResponse
		if r.Version >= 5 && decodeAnswer(&answer, r.Version, p) && answer.ErrorCode == 0 {
			g.transacts(answer.ProducerID) // a new one where the old one's epochs are used up
		}
	case *kmsg.CreateTopicsRequest:
		var answer kmsg.CreateTopicsResponse
		if r.Version >= 5 && decodeAnswer(&answer, r.Version, p) {
			return encodeAnswer(sourced(&answer), req.corr)
		}
	case *kmsg.ProduceRequest:
		var answer kmsg.ProduceResponse
		if len(req.spoilt) > 0 && decodeAnswer(&answer, r.Version, p) {
			return encodeAnswer(req.explain(&answer), req.corr)
		}
	}
	return p
}

// sourced says where the settings of new topics come from: kfake does not, and Java's
// clients take that for an error, although the topics are made.
func sourced(answer *kmsg.CreateTopicsResponse) *kmsg.CreateTopicsResponse {
	for i := range answer.Topics {
		for j := range answer.Topics[i].Configs {
			answer.Topics[i].Configs[j].Source = int8(kmsg.ConfigSourceDynamicTopicConfig)
		}
	}
	return answer
}

func (g *gate) transacts(producer int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.transactional[producer] = struct{}{}
}

// explain says why a batch was refused.
func (r *request) explain(answer *kmsg.ProduceResponse) *kmsg.ProduceResponse {
	for i := range answer.Topics {
		topic := &answer.Topics[i]
		for j := range topic.Partitions {
			partition := &topic.Partitions[j]
			reason, ok := r.spoilt[place{topic.Topic, partition.Partition}]
			if code := partition.ErrorCode; ok && (code == kerr.CorruptMessage.Code ||
				code == kerr.InvalidRecord.Code) {
				partition.ErrorMessage = kmsg.StringPtr(reason)
			}
		}
	}
	return answer
}

// advertise leaves out of kfake's answer what is not let through.
func (g *gate) advertise(req *request, r *kmsg.ApiVersionsRequest, p []byte) []byte {
	var answer kmsg.ApiVersionsResponse
	if !decodeAnswer(&answer, r.Version, p) {
		return p
	}
	answer.ApiKeys = slices.DeleteFunc(answer.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		_, ok := g.served[kmsg.Key(k.ApiKey)]
		return !ok
	})
	for i := range answer.ApiKeys {
		k := &answer.ApiKeys[i]
		k.MaxVersion = min(k.MaxVersion, g.served[kmsg.Key(k.ApiKey)])
	}
	return encodeAnswer(&answer, req.corr)
}

func decodeAnswer(answer kmsg.Response, version int16, p []byte) bool {
	answer.SetVersion(version)
	body := p[8:]
	if answer.IsFlexible() && answer.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return false
		}
		body = body[1:]
	}
	return answer.ReadFrom(body) == nil
}

// repeats tells whether a request asks for one thing more than once where each time
// costs an answer.
func repeats(body kmsg.Request) bool {
	itself := func(s string) string { return s }
	switch r := body.(type) {
	case *kmsg.DescribeConfigsRequest:
		return repeated(r.Resources, func(rr kmsg.DescribeConfigsRequestResource) string {
			return string(rune(rr.ResourceType)) + rr.ResourceName
		})
	case *kmsg.DescribeGroupsRequest:
		return repeated(r.Groups, itself)
	case *kmsg.OffsetFetchRequest:
		return repeated(r.Groups, func(g kmsg.OffsetFetchRequestGroup) string { return g.Group })
	default:
		return false
	}
}

func repeated[T any](items []T, name func(T) string) bool {
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		if seen[name(item)] {
			return true
		}
		seen[name(item)] = true
	}
	return false
}

// elements counts what a request lists, at all depths.
func elements(body kmsg.Request) int {
	var count func(v reflect.Value) int
	count = func(v reflect.Value) int {
		n := 0
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				n += count(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				n += count(v.Field(i))
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				return 0
			}
			n += v.Len()
			if kind := v.Type().Elem().Kind(); kind == reflect.Struct || kind == reflect.Slice {
				for i := range v.Len() {
					n += count(v.Index(i))
				}
			}
		}
		return n
	}
	return count(reflect.ValueOf(body))
}
