package pipeline

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/admin"
	"github.com/millrace/millrace/pipeline/kafka"
)

// Status is what the process does now.
func (r *Runner) Status() admin.Status {
	r.mu.Lock()
	flows := map[string]*flow{}
	for _, f := range r.supervisor.all() {
		flows[f.plan.Name] = f
	}
	s := admin.Status{
		PID: os.Getpid(), Version: r.deps.Version, Started: r.started, Files: absolute(r.plan.Files),
		Embedded: r.embedded, Ingest: r.ingest, IngestTLS: r.plan.Ingest != nil && r.plan.Ingest.TLS != nil, Health: r.health, Ready: true, Pipelines: []admin.PipelineStatus{},
	}
	waits, _, _ := strings.Cut(r.waiting, ": ")
	cluster, reasons := r.clusterDown, []trouble{
		{kind: "state folder", reason: r.folderGone}, {kind: waits, reason: r.waiting}, {kind: "brokers", reason: r.clusterDown}, {kind: "embedded broker full", reason: r.brokerFull},
		{kind: "embedded broker does not answer", reason: r.brokerDeaf},
	}
	if r.publisher != nil {
		reasons = append(reasons, trouble{kind: "producer", reason: r.publisher.Waiting()})
	}
	r.mu.Unlock()
	s.Broker = r.broker()
	store := r.storeTrouble()
	reasons = append([]trouble{{kind: "key store", reason: store}}, reasons...)
	if len(flows) < len(r.plan.Pipelines) {
		reasons = append(reasons, trouble{kind: "starting", reason: "starting"})
	}
	for _, t := range reasons {
		if t.reason != "" {
			s.Ready, s.Reasons, s.Kinds = false, append(s.Reasons, r.plan.Redactor.Text(t.reason)), append(s.Kinds, t.kind)
		}
	}
	for _, plan := range r.plan.Pipelines {
		f := flows[plan.Name]
		if f == nil {
			s.Pipelines = append(s.Pipelines, admin.PipelineStatus{
				Name: plan.Name, State: admin.Starting, Outcomes: map[string]int64{}, Lag: kafka.LagUnknown, Partitions: []kafka.PartitionStatus{},
			})
			continue
		}
		p := f.status(cluster != "" || store != "" && plan.Idempotency != nil)
		if len(p.Reasons) > 0 || p.State != admin.Running {
			s.Ready = false
		}
		s.Pipelines = append(s.Pipelines, p)
	}
	return s
}

// status is how the pipeline fares. away tells that something is away without which
// it does nothing, which the process gives as its own reason.
func (f *flow) status(away bool) admin.PipelineStatus {
	p := admin.PipelineStatus{
		Name: f.plan.Name, State: f.running(), Outcomes: f.meter.outcomes(),
		Retries: f.meter.retries.Load(), InFlight: f.subscriber.InFlight(), Partitions: f.partitions(),
	}
	all, joined := f.troubles(), f.subscriber.Ready()
	switch joining := "joining its consumer group"; {
	case p.State == admin.Starting:
		all = append(all, trouble{kind: joining, reason: joining})
	case p.State == admin.Running && !joined:
		all = append(all, trouble{kind: joining, reason: joining + " again"})
	}
	for _, t := range all {
		p.Reasons, p.Kinds = append(p.Reasons, f.plan.Redactor.Text(t.reason)), append(p.Kinds, t.kind)
	}
	if p.State == admin.Running && (away || len(p.Reasons) > 0) {
		p.State = admin.Waiting
	}
	if p.Lag = kafka.SumLag(p.Partitions); !joined && p.State != admin.Stopped {
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
	for sleep(ctx, stoppedLook) {
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
