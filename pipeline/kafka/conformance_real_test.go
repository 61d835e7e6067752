//go:build real

package kafka

import "testing"

// TestRealWatermillSuite runs Watermill's conformance suite on Apache Kafka.
func TestRealWatermillSuite(t *testing.T) {
	runWatermillSuite(t, realSettings(t))
}
