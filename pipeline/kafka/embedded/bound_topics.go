package embedded

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxPartitions bounds the partitions of all topics: each has a folder that is
	// written when the broker ends.
	maxPartitions = 4_000
	// filesPerPartition is how many stay open, and otherFiles what the process needs
	// besides.
	filesPerPartition = 2
	otherFiles        = 512
	leastPartitions   = 60
)

// mostPartitions is how many partitions the topics may have in all: each that has
// records keeps files open.
func mostPartitions(files uint64) int64 {
	if files >= otherFiles+filesPerPartition*maxPartitions {
		return maxPartitions
	}
	return max(leastPartitions, (int64(files)-otherFiles)/filesPerPartition)
}

// boundPartitions refuses topics, by name with the partitions that each is to have,
// that would make the broker's partitions too many. Those that have so many already
// cost nothing.
func (b *Broker) boundPartitions(want map[string]int32) error {
	topics, err := readTopics(b.lock.Dir())
	if err != nil {
		return err
	}
	var have, more int64
	for _, partitions := range topics {
		have += int64(partitions)
	}
	for name, partitions := range want {
		if partitions <= 0 {
			partitions = b.config.Partitions
		}
		more += max(0, int64(partitions)-int64(topics[name]))
	}
	most := mostPartitions(openFiles())
	if more > 0 && have+more > most {
		return fmt.Errorf("the embedded broker has %d partitions of at most %d, and these would be %d more: delete "+
			"topics that are done with, or take a cluster", have, most, more)
	}
	return nil
}

func (b *Broker) boundCreateTopics(r *kmsg.CreateTopicsRequest) kmsg.Response {
	want := make(map[string]int32, len(r.Topics))
	for _, topic := range r.Topics {
		want[topic.Topic] = topic.NumPartitions
	}
	err := b.boundPartitions(want)
	if err == nil {
		return nil
	}
	response := r.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, topic := range r.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = topic.Topic, kerr.PolicyViolation.Code, kmsg.StringPtr(err.Error())
		response.Topics = append(response.Topics, t)
	}
	return response
}

func (b *Broker) boundCreatePartitions(r *kmsg.CreatePartitionsRequest) kmsg.Response {
	want := make(map[string]int32, len(r.Topics))
	for _, topic := range r.Topics {
		want[topic.Topic] = topic.Count
	}
	err := b.boundPartitions(want)
	if err == nil {
		return nil
	}
	response := r.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for _, topic := range r.Topics {
		t := kmsg.NewCreatePartitionsResponseTopic()
		t.Topic, t.ErrorCode, t.ErrorMessage = topic.Topic, kerr.PolicyViolation.Code, kmsg.StringPtr(err.Error())
		response.Topics = append(response.Topics, t)
	}
	return response
}
