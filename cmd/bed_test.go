package cmd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// bed is the broker and the key store that a test runs on. The zero bed is the
// embedded broker with the embedded store: what is to be had with Go alone.
type bed struct {
	// brokers are a cluster's; none means the embedded broker.
	brokers []string
	// store is idempotency.store.
	store string
	// prefix is before all names that a shared cluster keeps.
	prefix string
	// replication is that of the cluster's topics, 0 its default.
	replication int
}

// name is a topic's or a pipeline's name on this bed.
func (b bed) name(s string) string { return b.prefix + s }

// blocks are what a configuration must say to run on this bed; more is added to
// the `idempotency:` block of a cluster.
func (b bed) blocks(more ...string) string {
	if len(b.brokers) == 0 {
		return "kafka: {embedded: {listen: 127.0.0.1:0}}\n"
	}
	store := strings.Join(append([]string{fmt.Sprintf("store: %q", b.store)}, more...), ", ")
	return fmt.Sprintf("kafka: {brokers: [%q]}\nidempotency: {%s}\n", strings.Join(b.brokers, ","), store)
}

// create makes topics with that many partitions, where the broker does not by
// itself. It takes their names as they are without the bed.
func (b bed) create(t *testing.T, partitions int, names ...string) {
	t.Helper()
	if len(b.brokers) == 0 {
		return
	}
	for i := range names {
		names[i] = b.name(names[i])
	}
	if _, err := b.admin(t, b.brokers[0]).CreateTopics(t.Context(), names, partitions, b.replication, nil); err != nil {
		t.Fatal(err)
	}
}

// admin looks at the brokers; it ends with the test.
func (b bed) admin(t *testing.T, broker string) *kafka.Admin {
	t.Helper()
	brokers := b.brokers
	if len(brokers) == 0 {
		brokers = []string{broker}
	}
	a, err := kafka.NewAdmin(kafka.Settings{Brokers: brokers}, kafka.Deps{Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// orders are n orders from the given number on, each of a customer of its own.
func (b bed) orders(from, n int) []*handlers.Record {
	all := make([]*handlers.Record, n)
	for i := range all {
		all[i] = &handlers.Record{
			Topic: b.name("orders"), Partition: -1, Offset: -1, Key: fmt.Append(nil, "k-", from+i),
			Value: fmt.Appendf(nil, `{"order_id": "o-%d"}`, from+i),
		}
	}
	return all
}
