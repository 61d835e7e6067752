//go:build real

package cmd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed"
)

// shared holds the Kafka and the Redis of all tests that break neither.
var shared testbed.Bed

func runTests(m *testing.M) int { return shared.Run(m) }

// prefix is before the names of one test, which shares its cluster with others.
func prefix() string { return fmt.Sprintf("t%08x-", rand.Uint32()) }

// kafkaAndRedis is the bed that replicas run on.
func kafkaAndRedis(t *testing.T) bed {
	t.Helper()
	p := prefix()
	return bed{brokers: shared.Kafka(t).Brokers(), store: shared.Redis(t).URL() + "?prefix=" + p, prefix: p}
}

// kafkaAlone is a cluster with the embedded store beside the one process.
func kafkaAlone(t *testing.T) bed {
	t.Helper()
	return bed{brokers: shared.Kafka(t).Brokers(), store: "embedded", prefix: prefix()}
}

// onBeds runs a test of the embedded bed on real components.
func onBeds(t *testing.T, test func(*testing.T, bed)) {
	t.Run("Kafka and Redis", func(t *testing.T) { test(t, kafkaAndRedis(t)) })
	t.Run("Kafka and embedded store", func(t *testing.T) { test(t, kafkaAlone(t)) })
}

func TestRealFlood(t *testing.T)                { onBeds(t, testFlood) }
func TestRealFloodDrained(t *testing.T)         { onBeds(t, testFloodDrained) }
func TestRealFloodKilled(t *testing.T)          { onBeds(t, testFloodKilled) }
func TestRealOneNotification(t *testing.T)      { onBeds(t, testOneNotificationPerOrder) }
func TestRealIngestAnswers(t *testing.T)        { onBeds(t, testIngestAnswers) }
func TestRealKeys(t *testing.T)                 { onBeds(t, testKeys) }
func TestRealDeadLetters(t *testing.T)          { onBeds(t, testDeadLetters) }
func TestRealKeysFolderLost(t *testing.T)       { testKeysFolderLost(t, kafkaAlone(t)) }
func TestRealPreviewWritesNothing(t *testing.T) { onBeds(t, testPreviewWritesNothing) }
func TestRealSecondTerminal(t *testing.T)       { onBeds(t, testSecondTerminal) }
func TestRealSeek(t *testing.T)                 { onBeds(t, testSeek) }
func TestRealSeekBadInput(t *testing.T)         { testSeekBadInput(t, kafkaAndRedis(t)) }
func TestRealSkipWhereNothingRuns(t *testing.T) { onBeds(t, testSkipWhereNothingRuns) }
func TestRealSkipWhatAReceiverRefuses(t *testing.T) {
	onBeds(t, testSkipWhatAReceiverRefuses)
}
func TestRealPauseBesideAnotherReplica(t *testing.T) {
	testPauseBesideAnotherReplica(t, kafkaAndRedis(t))
}
