package pipeline

import (
	"sync/atomic"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/deliver"
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
func (m *meter) Observe(e deliver.Event) {
	switch e.Kind {
	case deliver.EventRecord:
		m.metrics.Outcome(string(e.Outcome), 1)
		for i, o := range outcome.All() {
			if o == e.Outcome {
				m.counts[i].Add(1)
			}
		}
	case deliver.EventClaim:
		m.metrics.Claim(e.Reason, 1)
	case deliver.EventConfirm:
		if e.Reason == "lost" {
			m.metrics.ConfirmLost()
		}
	case deliver.EventWrite:
		m.metrics.Sink(e.Sink).Write("taken", e.Took)
	case deliver.EventRetry:
		m.retries.Add(1)
		m.metrics.Sink(e.Sink).Retry()
		m.metrics.Sink(e.Sink).Write(e.Reason, e.Took)
	case deliver.EventDeadLetter:
		m.metrics.DeadLetter(e.Reason)
	case deliver.EventPause, deliver.EventResume:
		if e.Sink != "" {
			m.metrics.Sink(e.Sink).Paused(e.Kind == deliver.EventPause)
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
