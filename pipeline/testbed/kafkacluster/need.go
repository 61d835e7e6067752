//go:build unix

package kafkacluster

import "testing"

// Need starts a cluster that ends with the test, and fails the test where
// that can't be done. A test that fails logs the ends of the nodes' logs.
func Need(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	k, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := k.Close(); err != nil {
			tb.Error(err)
		}
	})
	k.Explain(tb)
	return k
}

// Explain logs the ends of the nodes' logs when a test has failed.
func (k *Cluster) Explain(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, node := range k.nodes {
				tb.Logf("Kafka's node %d:\n%s", node.id, node.Log(20))
			}
		}
	})
}
