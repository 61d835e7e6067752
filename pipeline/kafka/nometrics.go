package kafka

import "github.com/rcrowley/go-metrics"

// noMetrics takes the producer library's metrics and keeps none: its own
// registry costs 160 KB a client and a goroutine that never ends, and nothing
// reads it. The library's switch for that is a global variable.
type noMetrics struct{}

// GetOrRegister returns a metric of the kind asked for that counts nothing.
func (noMetrics) GetOrRegister(_ string, metric any) any {
	switch metric.(type) {
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	}
	return metric
}

// Each has nothing to call its function for.
func (noMetrics) Each(func(string, any)) {}

// Get knows no metric.
func (noMetrics) Get(string) any { return nil }

// GetAll knows no metrics.
func (noMetrics) GetAll() map[string]map[string]any { return nil }

// Register keeps nothing.
func (noMetrics) Register(string, any) error { return nil }

// RunHealthchecks has none to run.
func (noMetrics) RunHealthchecks() {}

// Unregister has nothing to remove.
func (noMetrics) Unregister(string) {}

// UnregisterAll has nothing to remove.
func (noMetrics) UnregisterAll() {}
