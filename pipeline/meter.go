package pipeline

import (
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/outcome"
)

// meter turns the events of one pipeline into metrics.
type meter struct{ of *api.PipelineMetrics }

// Observe counts e.
func (m meter) Observe(e events.Event) {
	switch e.Kind {
	case events.Record:
		m.of.Outcome(string(e.Outcome), 1)
		if e.Reason == outcome.ReasonSkipped {
			m.of.Skipped()
		}
	case events.Claim:
		m.of.Claim(e.Reason, 1)
	case events.Confirm:
		if e.Reason == "lost" {
			m.of.ConfirmLost()
		}
	case events.Write:
		m.of.Sink(e.Sink).Write("taken", e.Took)
	case events.Retry:
		m.of.Sink(e.Sink).Retry()
		m.of.Sink(e.Sink).Write(e.Reason, e.Took)
	case events.DeadLetter:
		m.of.DeadLetter(e.Reason)
	case events.Pause, events.Resume:
		if e.Sink != "" {
			m.of.Sink(e.Sink).Paused(e.Kind == events.Pause)
		}
	case events.Alarm, events.Cleared:
		m.of.Alarm(e.Topic, e.Partition, e.Reason, e.Kind == events.Alarm)
	}
}

// processMeter does so with what is of no pipeline.
type processMeter struct{ of *api.Metrics }

// Observe counts e.
func (m processMeter) Observe(e events.Event) {
	switch e.Kind {
	case events.Ingest:
		m.of.Ingest(e.Route, e.Status)
	case events.Reset:
		m.of.StoreReset()
	}
}
