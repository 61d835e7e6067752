package pipeline

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/admin"
	"github.com/millrace/millrace/pipeline/kafka"
)

// Status is what the process does now.
func (r *Runner) Status() admin.Status {
	r.mu.Lock()
	flows := r.flows
	s := admin.Status{
		PID: os.Getpid(), Version: r.deps.Version, Started: r.started, Files: absolute(r.plan.Files),
		Embedded: r.embedded, Ingest: r.ingest, Health: r.health, Ready: true, Pipelines: []admin.PipelineStatus{},
	}
	cluster, reasons := r.clusterDown, []string{r.folderGone, r.waiting, r.clusterDown, r.brokerFull, r.brokerDeaf}
	if r.publisher != nil {
		reasons = append(reasons, r.publisher.Waiting())
	}
	r.mu.Unlock()
	s.Broker = r.broker()
	store := r.storeTrouble()
	for _, reason := range append([]string{store}, reasons...) {
		if reason != "" {
			s.Ready, s.Reasons = false, append(s.Reasons, reason)
		}
	}
	if len(flows) < len(r.plan.Pipelines) {
		s.Ready, s.Reasons = false, append(s.Reasons, "starting")
	}
	for i, plan := range r.plan.Pipelines {
		if i >= len(flows) {
			s.Pipelines = append(s.Pipelines, admin.PipelineStatus{
				Name: plan.Name, State: "starting", Outcomes: map[string]int64{}, Lag: kafka.LagUnknown, Partitions: []kafka.PartitionStatus{},
			})
			continue
		}
		p := flows[i].status(cluster != "" || store != "" && plan.Idempotency != nil)
		if len(p.Reasons) > 0 || p.State != "running" {
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
		Name: f.plan.Name, State: f.getState(), Reasons: f.reasons(), Outcomes: f.meter.outcomes(),
		Retries: f.meter.retries.Load(), InFlight: f.subscriber.InFlight(), Partitions: f.partitions(),
	}
	joined := f.subscriber.Ready()
	switch {
	case p.State == "starting":
		p.Reasons = append(p.Reasons, "joining its consumer group")
	case p.State == "running" && !joined:
		p.Reasons = append(p.Reasons, "joining its consumer group again")
	}
	if p.State == "running" && (away || len(p.Reasons) > 0) {
		p.State = "waiting"
	}
	if p.Lag = kafka.SumLag(p.Partitions); !joined && p.State != "stopped" {
		p.Lag = kafka.LagUnknown // which partitions are its own is not known
	}
	return p
}

// Measure brings the lag of all pipelines up to date.
func (r *Runner) Measure(ctx context.Context) {
	r.mu.Lock()
	flows := slices.Clone(r.flows)
	r.mu.Unlock()
	var asked sync.WaitGroup
	for _, f := range flows {
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
		for _, f := range r.flows {
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
