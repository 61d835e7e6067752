package pipeline

import (
	"sync/atomic"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/outcome"
)

// meter turns events into metrics and into the counts that a status shows.
type meter struct {
	metrics *api.PipelineMetrics
	retries atomic.Int64
	counts  [6]atomic.Int64 // in the order of Outcomes
}

func newMeter(m *api.PipelineMetrics) *meter { return &meter{metrics: m} }

// Observe counts e.
func (m *meter) Observe(e events.Event) {
	switch e.Kind {
	case events.Record:
		m.metrics.Outcome(string(e.Outcome), 1)
		for i, o := range outcome.All() {
			if o == e.Outcome {
				m.counts[i].Add(1)
			}
		}
	case events.Claim:
		m.metrics.Claim(e.Reason, 1)
	case events.Confirm:
		if e.Reason == "lost" {
			m.metrics.ConfirmLost()
		}
	case events.Write:
		m.metrics.Sink(e.Sink).Write("taken", e.Took)
	case events.Retry:
		m.retries.Add(1)
		m.metrics.Sink(e.Sink).Retry()
		m.metrics.Sink(e.Sink).Write(e.Reason, e.Took)
	case events.DeadLetter:
		m.metrics.DeadLetter(e.Reason)
	case events.Pause, events.Resume:
		if e.Sink != "" {
			m.metrics.Sink(e.Sink).Paused(e.Kind == events.Pause)
		}
	}
}

func (m *meter) outcomes() map[string]int64 {
	all := map[string]int64{}
	for i, o := range outcome.All() {
		if n := m.counts[i].Load(); n > 0 {
			all[string(o)] = n
		}
	}
	return all
}
