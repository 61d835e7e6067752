package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/pipeline/memory"
)

const (
	// leastFetch is how much one fetch asks for at least where memory is small, and
	// partitionFetch what it asks for of one partition.
	leastFetch, partitionFetch = 1 << 20, 1 << 20
	// fetchShare is which part of the memory one fetch may be: records that are not
	// compressed may be so small that what is made of them is 60 times as large.
	fetchShare = 32
)

// fetching are the options of every client that reads records: what it fetches at
// once, and that the intake takes the memory for it.
func fetching(in *intake, held *memory.Pool, fetchMax int32) []kgo.Opt {
	if size := held.Size(); size > 0 {
		fetchMax = int32(min(int64(fetchMax), max(leastFetch, size/fetchShare)))
	}
	return append(in.options(),
		kgo.FetchMaxBytes(fetchMax),
		kgo.FetchMaxPartitionBytes(min(fetchMax, partitionFetch)),
		kgo.BrokerMaxReadBytes(max(100<<20, min(fetchMax, 1<<29)*2)),
	)
}
