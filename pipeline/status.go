package pipeline

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
)

// Status is what the process does now.
func (r *Runner) Status() api.Status {
	r.mu.Lock()
	flows := map[string]*flow{}
	for _, f := range r.supervisor.all() {
		flows[f.plan.Name] = f
	}
	s := api.Status{
		PID: os.Getpid(), Version: r.deps.Version, Started: r.started, Files: absolute(r.plan.Files),
		Digest: r.plan.Digest, Embedded: r.embedded, Ingest: r.ingest,
		IngestTLS: r.plan.Ingest != nil && r.plan.Ingest.TLS != nil,
		Health:    r.health, Ready: true, Pipelines: []api.PipelineStatus{},
	}
	waits, _, _ := strings.Cut(r.waiting, ": ")
	full := r.brokerTroubles.why(embedded.AlarmFull)
	if full != "" {
		full = "the embedded broker is full: " + full
	}
	cluster, reasons := r.clusterDown, []deliver.Trouble{
		{Kind: "state folder", Reason: r.folderGone}, {Kind: waits, Reason: r.waiting},
		{Kind: "brokers", Reason: r.clusterDown}, {Kind: "embedded broker full", Reason: full},
		{Kind: "embedded broker does not answer", Reason: r.brokerTroubles.why(embedded.AlarmUnreachable)},
	}
	if r.publisher != nil {
		reasons = append(reasons, deliver.Trouble{Kind: "producer", Reason: r.publisher.Waiting()})
	}
	r.mu.Unlock()
	s.Broker = r.broker()
	store := r.storeTrouble()
	reasons = append([]deliver.Trouble{{Kind: "key store", Reason: store}}, reasons...)
	if len(flows) < len(r.plan.Pipelines) && r.deps.Job == nil {
		reasons = append(reasons, deliver.Trouble{Kind: "starting", Reason: "starting"})
	}
	for _, t := range reasons {
		if t.Reason != "" {
			s.Ready, s.Reasons, s.Kinds = false, append(s.Reasons, r.plan.Redactor.Shown(t.Reason)),
				append(s.Kinds, t.Kind)
		}
	}
	for _, job := range r.Jobs() {
		if job.State == api.JobRunning {
			s.Jobs = append(s.Jobs, job)
		}
	}
	if r.deps.Job != nil {
		return s // it runs no pipelines
	}
	for _, plan := range r.plan.Pipelines {
		f := flows[plan.Name]
		if f == nil {
			p := api.PipelineStatus{
				Name: plan.Name, State: api.Starting, Paused: r.pauses.of(plan.Name), Outcomes: map[string]int64{},
				Lag: kafka.LagUnknown, Partitions: []kafka.PartitionStatus{},
			}
			if p.Paused != nil {
				p.Reasons, p.Kinds = []string{p.Paused.String()}, []string{string(api.Paused)}
			}
			s.Pipelines = append(s.Pipelines, p)
			continue
		}
		p := f.status(cluster != "" || store != "" && plan.Idempotency != nil)
		p.Standing, p.Skipped = f.shownStandings(), r.skips.open(plan.Name)
		if len(p.Reasons) > 0 || p.State != api.Running {
			s.Ready = false
		}
		s.Pipelines = append(s.Pipelines, p)
	}
	return s
}

// status is how the pipeline fares. away tells that something is away without which
// it does nothing, which the process gives as its own reason.
func (f *flow) status(away bool) api.PipelineStatus {
	p := api.PipelineStatus{
		Name: f.plan.Name, State: f.running(), Outcomes: f.tally.outcomes(),
		Retries: f.tally.retries.Load(), InFlight: f.subscriber.InFlight(), Partitions: f.partitions(),
		Paused: f.pauses.of(f.plan.Name),
	}
	all, joined := f.troubles(), f.subscriber.Ready()
	switch joining := "joining its consumer group"; {
	case p.State == api.Starting:
		all = append(all, deliver.Trouble{Kind: joining, Reason: joining})
	case p.State == api.Running && !joined:
		all = append(all, deliver.Trouble{Kind: joining, Reason: joining + " again"})
	}
	if p.Paused != nil {
		p.InFlight = f.subscriber.HandedOut()
		all = append([]deliver.Trouble{{Kind: string(api.Paused), Reason: p.Paused.String()}}, all...)
	}
	for _, t := range all {
		p.Reasons, p.Kinds = append(p.Reasons, f.plan.Redactor.Shown(t.Reason)), append(p.Kinds, t.Kind)
	}
	for i := range p.Partitions {
		p.Partitions[i].Alarm = f.plan.Redactor.Shown(p.Partitions[i].Alarm)
	}
	if p.State == api.Running && (away || len(p.Reasons) > 0) {
		p.State = api.Waiting
	}
	if p.Paused != nil && p.State == api.Waiting {
		p.State = api.Paused
	}
	if p.Lag = kafka.SumLag(p.Partitions); !joined && p.State != api.Stopped {
		p.Lag = kafka.LagUnknown // which partitions are its own is not known
	}
	return p
}

// Measure brings the lag of all pipelines up to date.
func (r *Runner) Measure(ctx context.Context) {
	r.mu.Lock()
	flows := r.supervisor
	r.mu.Unlock()
	var asked sync.WaitGroup
	for _, f := range flows.all() {
		asked.Go(func() {
			if f.stopped() != nil {
				f.measureStopped(ctx, r.admin)
				return
			}
			f.subscriber.Measure(ctx)
		})
	}
	asked.Wait()
}

// stoppedLook is how often the lag of pipelines is measured that have stopped.
const stoppedLook = 3 * time.Second

// watchStopped measures what pipelines that stopped have before them: the logs grow
// on, and an alert on lag is how somebody learns of it.
func (r *Runner) watchStopped(ctx context.Context) {
	for clock.Sleep(ctx, stoppedLook) {
		for _, f := range r.supervisor.all() {
			if f.stopped() != nil {
				asked, cancel := context.WithTimeout(ctx, stoppedLook)
				f.measureStopped(asked, r.admin)
				cancel()
			}
		}
	}
}

// measureStopped asks how far the logs reach now that the pipeline had assigned, and
// what its group has committed of them; where that can't be told the lag is unknown.
func (f *flow) measureStopped(ctx context.Context, cluster *kafka.Admin) {
	f.mu.Lock()
	last := slices.Clone(f.last)
	f.mu.Unlock()
	if len(last) == 0 {
		return
	}
	measured := cluster.Measured(ctx, f.plan.Source.Group, last)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = measured
}
