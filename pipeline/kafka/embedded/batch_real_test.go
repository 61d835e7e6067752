//go:build real && unix

package embedded

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// Apache Kafka refuses the same batches with the same errors.
func TestRealMalformedBatches(t *testing.T) {
	c := client(t, kafkacluster.Need(t, kafkacluster.Options{}).Brokers()[0])
	if _, err := kadm.NewClient(c).CreateTopics(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	id := topicID(t, c, "orders")
	broker := c.SeedBrokers()[0]
	for name, m := range hostile.Malformed() {
		t.Run(name, func(t *testing.T) {
			request := hostile.ProduceRequest("orders", m.Raw)
			request.Topics[0].TopicID = id
			answer, err := request.RequestWith(t.Context(), broker)
			if err != nil {
				t.Fatal(err)
			}
			want := m.Err
			if want == hostile.ErrNotDecompressed {
				want = kerr.UnknownServerError
			}
			if err := kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	for codec := range byte(5) {
		request := hostile.ProduceRequest("orders", hostile.BatchOf(3, codec).Encode())
		request.Topics[0].TopicID = id
		answer, err := request.RequestWith(t.Context(), broker)
		if err != nil {
			t.Fatal(err)
		}
		if code := answer.Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Errorf("codec %d: %v", codec, kerr.ErrorForCode(code))
		}
	}
}
