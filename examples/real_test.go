//go:build real

package examples

import (
	"os"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed"
)

// shared holds the Kafka and the Redis of the examples; their topics, groups and
// keys differ.
var shared testbed.Bed

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// The examples as they stand run on a cluster: their topics are made from what
// they name, and the same comes of their records.
func TestRealExamples(t *testing.T) {
	runExamples(t, bed{brokers: shared.Kafka(t).Brokers(), store: shared.Redis(t).URL() + "?prefix=examples-"})
}
