package embedded

import (
	"math"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicConfigs are every topic's own settings: clients that describe a topic are
// told that it keeps its records.
func topicConfigs() map[string]string { return map[string]string{"retention.ms": "-1"} }

// keepMinutes is a hundred years. The largest number that the setting takes
// overflows kfake's durations, and every commit expires at once.
const keepMinutes = 100 * 365 * 24 * 60

// brokerConfigs turn off what expires records and commits.
func (c Config) brokerConfigs() map[string]string {
	return map[string]string{
		"offsets.retention.minutes":           strconv.Itoa(keepMinutes),
		"offsets.retention.check.interval.ms": strconv.FormatInt(c.expiryEvery.Milliseconds(), 10),
		"log.retention.ms":                    "-1",
		"log.retention.bytes":                 "-1",
		"log.cleaner.backoff.ms":              strconv.Itoa(math.MaxInt32),
		"group.max.size":                      strconv.Itoa(mostMembers),
		"transaction.max.timeout.ms":          strconv.Itoa(120_000),
		"default.replication.factor":          "1",
		"min.insync.replicas":                 "1",
	}
}

// rule makes kfake keep the broker's promises also towards clients that ask it
// for something else.
func (b *Broker) rule() {
	b.cluster.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		request := r.(*kmsg.CreateTopicsRequest)
		response := ruleCreateTopics(request)
		if response == nil {
			response = b.boundCreateTopics(request)
		}
		return response, nil, response != nil
	})
	b.cluster.ControlKey(int16(kmsg.CreatePartitions), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		response := b.boundCreatePartitions(r.(*kmsg.CreatePartitionsRequest))
		return response, nil, response != nil
	})
	b.cluster.ControlKey(int16(kmsg.AlterConfigs), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.ruleAlterConfigs(r.(*kmsg.AlterConfigsRequest))
		return nil, nil, false
	})
	b.cluster.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(r kmsg.Request) (kmsg.Response, error, bool) {
		ruleIncrementalAlterConfigs(r.(*kmsg.IncrementalAlterConfigsRequest))
		return nil, nil, false
	})
	b.cluster.ControlKey(int16(kmsg.DeleteRecords), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		response := b.ruleDeleteRecords(r.(*kmsg.DeleteRecordsRequest))
		return response, nil, response != nil
	})
}

// settable tells whether clients may set a topic's configuration. The rest makes
// records or commits go away, where kfake's retention stops with a restart and begins
// offsets anew at 0 where it emptied a partition; or it costs the broker files or
// memory without bound; or it means nothing here.
func settable(name string, value *string) bool {
	switch name {
	case "max.message.bytes":
		if value == nil {
			return true
		}
		n, err := strconv.Atoi(*value)
		return err == nil && n >= 1<<10 && n <= maxProduce
	case "compression.type", "message.timestamp.type", "min.insync.replicas", "unclean.leader.election.enable":
		return value == nil || len(*value) <= 64
	default:
		return false
	}
}

// ruleCreateTopics takes out what expires records and reads every replication as
// 1. It answers the request where a name is not one that Kafka would take.
func ruleCreateTopics(r *kmsg.CreateTopicsRequest) kmsg.Response {
	if slices.ContainsFunc(r.Topics, func(t kmsg.CreateTopicsRequestTopic) bool { return !validTopic(t.Topic) }) {
		return refuseTopics(r)
	}
	for i := range r.Topics {
		topic := &r.Topics[i]
		if n := len(topic.ReplicaAssignment); n > 0 {
			topic.NumPartitions = int32(n)
			topic.ReplicaAssignment = nil
		}
		topic.ReplicationFactor = 1
		topic.Configs = slices.DeleteFunc(topic.Configs, func(c kmsg.CreateTopicsRequestTopicConfig) bool {
			return !settable(c.Name, c.Value)
		})
		for name, value := range topicConfigs() {
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = name, kmsg.StringPtr(value)
			topic.Configs = append(topic.Configs, config)
		}
	}
	return nil
}

func refuseTopics(r *kmsg.CreateTopicsRequest) kmsg.Response {
	response := r.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, topic := range r.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic = topic.Topic
		t.ErrorCode = kerr.InvalidTopicException.Code
		if validTopic(topic.Topic) {
			t.ErrorCode = kerr.InvalidRequest.Code
			t.ErrorMessage = kmsg.StringPtr("another topic of the request has no valid name")
		}
		response.Topics = append(response.Topics, t)
	}
	return response
}

// ruleAlterConfigs puts back what the broker needs: the request replaces all that
// was set before.
func (b *Broker) ruleAlterConfigs(r *kmsg.AlterConfigsRequest) {
	for i := range r.Resources {
		resource := &r.Resources[i]
		resource.Configs = slices.DeleteFunc(resource.Configs, func(c kmsg.AlterConfigsRequestResourceConfig) bool {
			return resource.ResourceType != kmsg.ConfigResourceTypeTopic || !settable(c.Name, c.Value)
		})
		var fixed map[string]string
		switch resource.ResourceType {
		case kmsg.ConfigResourceTypeTopic:
			fixed = topicConfigs()
		case kmsg.ConfigResourceTypeBroker:
			fixed = b.config.brokerConfigs()
		}
		for name, value := range fixed {
			config := kmsg.NewAlterConfigsRequestResourceConfig()
			config.Name, config.Value = name, kmsg.StringPtr(value)
			resource.Configs = append(resource.Configs, config)
		}
	}
}

func ruleIncrementalAlterConfigs(r *kmsg.IncrementalAlterConfigsRequest) {
	for i := range r.Resources {
		resource := &r.Resources[i]
		resource.Configs = slices.DeleteFunc(resource.Configs,
			func(c kmsg.IncrementalAlterConfigsRequestResourceConfig) bool {
				set := c.Op == kmsg.IncrementalAlterConfigOpSet || c.Op == kmsg.IncrementalAlterConfigOpDelete
				return resource.ResourceType != kmsg.ConfigResourceTypeTopic || !set || !settable(c.Name, c.Value)
			})
	}
}

// ruleDeleteRecords refuses a request that would empty a partition: nothing on
// the disk would say any more where its offsets go on.
func (b *Broker) ruleDeleteRecords(r *kmsg.DeleteRecordsRequest) kmsg.Response {
	empties := func(topic string, partition int32, offset int64) bool {
		info := b.cluster.PartitionInfo(topic, partition)
		return info != nil && info.HighWatermark > 0 && (offset == -1 || offset >= info.HighWatermark)
	}
	if !slices.ContainsFunc(r.Topics, func(t kmsg.DeleteRecordsRequestTopic) bool {
		return slices.ContainsFunc(t.Partitions, func(p kmsg.DeleteRecordsRequestTopicPartition) bool {
			return empties(t.Topic, p.Partition, p.Offset)
		})
	}) {
		return nil
	}
	response := r.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, topic := range r.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = topic.Topic
		for _, partition := range topic.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition = partition.Partition
			p.ErrorCode = kerr.PolicyViolation.Code
			t.Partitions = append(t.Partitions, p)
		}
		response.Topics = append(response.Topics, t)
	}
	return response
}
