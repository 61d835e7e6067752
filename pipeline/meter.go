package pipeline

import (
	"sync/atomic"

	"github.com/millrace/millrace/pipeline/admin"
)

// meter turns events into metrics and into the counts that a status shows.
type meter struct {
	metrics *admin.PipelineMetrics
	retries atomic.Int64
	counts  [6]atomic.Int64 // in the order of Outcomes
}

func newMeter(m *admin.PipelineMetrics) *meter { return &meter{metrics: m} }

// Observe counts e.
func (m *meter) Observe(e Event) {
	switch e.Kind {
	case EventRecord:
		m.metrics.Outcome(string(e.Outcome), 1)
		for i, o := range Outcomes() {
			if o == e.Outcome {
				m.counts[i].Add(1)
			}
		}
	case EventClaim:
		m.metrics.Claim(e.Reason, 1)
	case EventConfirm:
		if e.Reason == "lost" {
			m.metrics.ConfirmLost()
		}
	case EventWrite:
		m.metrics.Sink(e.Sink).Write("taken", e.Took)
	case EventRetry:
		m.retries.Add(1)
		m.metrics.Sink(e.Sink).Retry()
		m.metrics.Sink(e.Sink).Write(e.Reason, e.Took)
	case EventDeadLetter:
		m.metrics.DeadLetter(e.Reason)
	case EventPause, EventResume:
		if e.Sink != "" {
			m.metrics.Sink(e.Sink).Paused(e.Kind == EventPause)
		}
	}
}

func (m *meter) outcomes() map[string]int64 {
	all := map[string]int64{}
	for i, o := range Outcomes() {
		if n := m.counts[i].Load(); n > 0 {
			all[string(o)] = n
		}
	}
	return all
}
