package pipeline

import (
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
)

// meter turns the events of a process into its metrics.
type meter struct{ metrics *api.Metrics }

// Observe counts e.
func (m meter) Observe(e events.Event) {
	switch e.Kind {
	case events.Ingest:
		m.metrics.Ingest(e.Route, e.Status)
	case events.Reset:
		m.metrics.StoreReset()
	default:
		if e.Pipeline != "" {
			m.pipeline(m.metrics.Pipeline(e.Pipeline), e)
		}
	}
}

func (meter) pipeline(of *api.PipelineMetrics, e events.Event) {
	switch e.Kind {
	case events.Record:
		of.Outcome(string(e.Outcome), 1)
	case events.Claim:
		of.Claim(e.Reason, 1)
	case events.Confirm:
		if e.Reason == "lost" {
			of.ConfirmLost()
		}
	case events.Write:
		of.Sink(e.Sink).Write("taken", e.Took)
	case events.Retry:
		of.Sink(e.Sink).Retry()
		of.Sink(e.Sink).Write(e.Reason, e.Took)
	case events.DeadLetter:
		of.DeadLetter(e.Reason)
	case events.Pause, events.Resume:
		if e.Sink != "" {
			of.Sink(e.Sink).Paused(e.Kind == events.Pause)
		}
	case events.Alarm, events.Cleared:
		of.Alarm(e.Topic, e.Partition, e.Reason, e.Kind == events.Alarm)
	}
}
