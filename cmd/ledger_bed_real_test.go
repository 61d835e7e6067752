//go:build real && unix

package cmd

import (
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/ledger"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// The ledger on a cluster, with two replicas and a Redis of its own, which goes
// away as well.
func TestRealReplicaLedger(t *testing.T) {
	t.Parallel()
	redis := redisserver.Need(t, redisserver.Options{AppendFsync: "always"})
	b := kafkaAndRedis(t)
	keepBooks(t, ledger.Options{
		Seed: 1, Time: 60 * time.Second, Rate: 150, Backlog: 1500,
		Brokers: b.brokers, Store: redis.URL(), Prefix: b.prefix, Replicas: 2, Redis: redis,
	})
}

// The ledger with all faults, on an embedded broker with embedded keys.
func TestRealLedgerOfOneProcess(t *testing.T) {
	t.Parallel()
	b := standIn(t)
	keepBooks(t, ledger.Options{
		Seed: 2, Time: 60 * time.Second, Rate: 150, Backlog: 1500, Brokers: b.brokers, Store: b.store, Replicas: 1,
	})
}
