package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// work is a job that this process does: a flow of its own beside the live one, with the
// same plan, in the job's own group.
type work struct {
	job      api.Job
	spans    []api.Span
	where    *jobs.Where
	progress *jobs.Progress
	letters  *lettersWork // nil for a job that is about none
	cancel   context.CancelCauseFunc
	done     chan struct{}

	mu     sync.Mutex
	status api.JobStatus
	flow   *flow
}

// works are the jobs of a process. Its methods are safe for concurrent use.
type works struct {
	// ctx and deps are those of the process, once jobs can be done.
	ctx  context.Context
	deps flowDeps

	mu     sync.Mutex
	all    []*work
	ending bool
}

var (
	errInterrupted = errors.New("the process ended")
	errCancelled   = errors.New("somebody cancelled it")
)

// maxWorks is how many jobs that ended a process tells of.
const maxWorks = 100

func (w *works) open(ctx context.Context, deps flowDeps) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.deps = ctx, deps
}

// end interrupts all jobs, and waits until what they have in flight is finished.
func (w *works) end() {
	w.mu.Lock()
	w.ending = true
	all := slices.Clone(w.all)
	w.mu.Unlock()
	for _, each := range all {
		each.cancel(errInterrupted)
	}
	for _, each := range all {
		<-each.done
	}
}

func (w *works) find(id string) *work {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, each := range w.all {
		if each.job.ID == id {
			return each
		}
	}
	return nil
}

// StartJob begins a job of a pipeline that the process runs, or goes on with one.
func (r *Runner) StartJob(_ context.Context, start api.StartJob) (api.JobStatus, error) {
	i := slices.IndexFunc(r.plan.Pipelines, func(p *plan.Pipeline) bool { return p.Name == start.Job.Pipeline })
	if i < 0 {
		return api.JobStatus{}, &api.UnknownPipelineError{Name: start.Job.Pipeline}
	}
	p := r.plan.Pipelines[i]
	job := jobs.Held(start.Job)
	w := &work{job: job, spans: start.Spans, progress: jobs.NewProgress(job, start.Spans), done: make(chan struct{}),
		status: api.JobStatus{Job: job, State: api.JobRunning}}
	if job.Where != "" {
		var err error
		if w.where, err = jobs.NewWhere(p, job.Where); err != nil {
			return api.JobStatus{}, fmt.Errorf("the condition of the job: %w", err)
		}
	}
	if job.Letters != nil {
		var err error
		if w.letters, err = r.lettersWork(w, p); err != nil {
			return api.JobStatus{}, err
		}
	}
	if r.folder != nil {
		if err := r.folder.CheckJobs(); err != nil {
			return api.JobStatus{}, err
		}
	}
	s := &r.works
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx == nil:
		return api.JobStatus{}, errors.New("the process is starting: it waits for what it needs")
	case s.ending:
		return api.JobStatus{}, errors.New("the process is ending")
	}
	for _, other := range s.all {
		if other.running() && other.job.Pipeline == job.Pipeline {
			host := s.deps.holder.Host
			return api.JobStatus{}, &jobs.BusyError{Pipeline: job.Pipeline, Other: other.job,
				Members: []kafka.Member{{ID: fmt.Sprint("process ", os.Getpid()), Client: "this one", Host: host}}}
		}
	}
	s.all = slices.DeleteFunc(s.all, func(o *work) bool { return o.job.ID == job.ID })
	s.all = append(s.all[max(0, len(s.all)-maxWorks):], w)
	ctx, cancel := context.WithCancelCause(s.ctx)
	w.cancel = cancel
	go r.do(ctx, w, s.deps, p)
	return w.look(), nil
}

// Jobs are those that the process does, or did.
func (r *Runner) Jobs() []api.JobStatus {
	r.works.mu.Lock()
	all := slices.Clone(r.works.all)
	r.works.mu.Unlock()
	statuses := make([]api.JobStatus, len(all))
	for i, w := range all {
		statuses[i] = w.look()
	}
	return statuses
}

// CancelJob has a job end, once what is in flight is finished.
func (r *Runner) CancelJob(id string) (api.JobStatus, error) {
	w := r.works.find(id)
	if w == nil {
		return api.JobStatus{}, &api.UnknownJobError{ID: id}
	}
	w.cancel(errCancelled)
	return w.look(), nil
}

// runJob does the job that the process is for.
func (r *Runner) runJob(ctx context.Context) error {
	if _, err := r.StartJob(ctx, *r.deps.Job); err != nil {
		return err
	}
	w := r.works.find(r.deps.Job.Job.ID)
	tell := time.NewTicker(goalEvery)
	defer tell.Stop()
	for {
		select {
		case <-ctx.Done():
			r.works.end()
		case <-w.done:
			r.deps.OnJob(w.look())
			return nil
		case <-tell.C:
			r.deps.OnJob(w.look())
		}
	}
}

// do does a job from its begin to its end, and notes how it ended.
func (r *Runner) do(ctx context.Context, w *work, deps flowDeps, p *plan.Pipeline) {
	defer close(w.done)
	log := deps.log.With("pipeline", p.Name, "job", w.job.ID)
	log.Info("a job begins", "kind", w.job.Kind, "by", w.job.By, "records", w.job.Records)
	lock := jobs.Lock{Admin: r.admin}
	err := lock.Take(ctx, w.job, w.spans)
	held := err == nil
	if held {
		deps.work, deps.commitMost, deps.pauses, deps.skips = w, goalEvery, nil, nil
		deps.holder.Run = w.job.ID
		err = w.run(ctx, lock, deps, p)
	}
	state := api.JobFinished
	switch {
	case errors.Is(context.Cause(ctx), errCancelled):
		state, err = api.JobCancelled, nil
	case errors.Is(context.Cause(ctx), errInterrupted):
		state, err = api.JobInterrupted, nil
	case err != nil:
		state = api.JobFailed
	}
	w.cancel(nil)
	if held && (state == api.JobFinished || state == api.JobCancelled) {
		if failed := lock.Release(context.WithoutCancel(ctx), p.Name); failed != nil {
			log.Warn("the group of a job that is done stays", "err", failed)
		}
	}
	w.ended(state, p.Redactor.Error(err))
	if _, busy := errors.AsType[*jobs.BusyError](err); !busy {
		w.notKept(r.note(w.look()))
	}
	log.Info("a job has ended", "state", state, "counts", w.look().Counts, "err", err)
}

// note keeps how a job ended, in the state folder.
func (r *Runner) note(status api.JobStatus) error {
	if r.folder == nil {
		return errors.New("there is no state folder that can be written")
	}
	text, err := json.Marshal(status)
	if err == nil {
		err = r.folder.LogJob(text)
	}
	if err != nil {
		r.deps.Logger.Warn("how a job ended is not kept", "job", status.ID, "err", err)
	}
	return err
}

// notKept notes that it is not kept how the job ended.
func (w *work) notKept(err error) {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.status.NotKept = err.Error()
	}
}

// run lets the job's records flow until all are done, or ctx ends.
func (w *work) run(ctx context.Context, lock jobs.Lock, deps flowDeps, p *plan.Pipeline) (err error) {
	lasting := context.WithoutCancel(ctx)
	f, err := openFlow(lasting, w.plan(p), deps)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.flow = f
	w.mu.Unlock()
	defer func() { err = errors.Join(err, f.drain(), f.close(lasting)) }()
	f.goal = w.goal(f, lock.Admin, deps)
	f.subscriber.Pause()
	if err := f.start(lasting); err != nil {
		return err
	}
	for !f.subscriber.Ready() {
		if f.stopped() != nil || !clock.Sleep(ctx, 20*time.Millisecond) {
			return f.stopped()
		}
	}
	if err := lock.Alone(ctx, w.job); err != nil {
		return err
	}
	if w.job.Letters != nil {
		if err := w.choose(ctx, deps); err != nil {
			return err
		}
	}
	f.subscriber.Resume()
	return w.await(ctx, f)
}

// await waits until everything is done that can be.
func (w *work) await(ctx context.Context, f *flow) error {
	for {
		if err := f.stopped(); err != nil {
			return err
		}
		done, err := f.goal.look(ctx, f.subscriber.Status(), f.delivery.Stands)
		if err != nil && ctx.Err() == nil {
			f.log.Warn("how far the job is can't be asked for yet", "err", err)
		}
		if done {
			return f.goal.verdict()
		}
		if !clock.Sleep(ctx, goalEvery) {
			return nil
		}
	}
}

// plan is the pipeline's, but for its group and its rate.
func (w *work) plan(p *plan.Pipeline) *plan.Pipeline {
	own := *jobs.PlanOf(w.job.Kind, p)
	own.Source.Group = jobs.GroupOf(p.Name)
	own.RateLimit = cmp.Or(w.job.Rate, own.RateLimit)
	return &own
}

// source is where a flow reads: the pipeline's, or what the job says.
func (w *work) source(s kafka.Source) kafka.Source {
	if w == nil {
		return s
	}
	s.Instance, s.Pattern, s.Topics = "", nil, nil
	s.Until, s.Note = kafka.Offsets{}, w.progress.Note
	for _, span := range w.spans {
		if s.Until[span.Topic] == nil {
			s.Until[span.Topic] = map[int32]int64{}
			s.Topics = append(s.Topics, span.Topic)
		}
		s.Until[span.Topic][span.Partition] = span.Until
	}
	if w.job.Letters != nil && s.MaxRecordBytes > 0 {
		s.MaxRecordBytes += mostHeaders
	}
	return s
}

func (w *work) goal(f *flow, admin *kafka.Admin, deps flowDeps) *goal {
	g := &goal{plan: f.plan, settings: deps.settings, admin: admin, log: f.log, left: map[partitionName]*target{}}
	for _, s := range w.spans {
		if s.Until > s.Next {
			g.left[partitionName{s.Topic, s.Partition}] = &target{end: s.Until, at: -1}
		}
	}
	return g
}

// again is how a flow does the job; nil where there is none.
func (w *work) again() *deliver.Again {
	if w == nil {
		return nil
	}
	again := &deliver.Again{Admit: w.admits, Forgotten: w.job.Forgotten, Met: w.progress.Met}
	if w.job.Force {
		again.Force = w.job.ID
	}
	if w.job.Letters != nil {
		w.redrives(again)
	}
	return again
}

// admits tells whether a record is one of the job's.
func (w *work) admits(r *handlers.Record) bool {
	return w.job.Within(r.Time) && (w.where == nil || w.where.Holds(r))
}

func (w *work) running() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// ended notes how the job ended.
func (w *work) ended(state api.JobState, err error) {
	status := w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
	w.status.State, w.status.Ended, w.status.Waits = state, time.Now().UTC().Truncate(time.Millisecond), nil
	if err != nil {
		w.status.Error = err.Error()
	}
	w.flow = nil
}

// look is how the job fares.
func (w *work) look() api.JobStatus {
	counts, expires := w.progress.Totals()
	w.mu.Lock()
	status, f := w.status, w.flow
	w.mu.Unlock()
	status.Counts, status.Expires, status.Done = counts, expires, 0
	for n := range maps.Values(counts) {
		status.Done += n
	}
	if w.where != nil {
		status.WhereFailed, _ = w.where.Failed()
	}
	if f != nil {
		for _, t := range f.troubles() {
			status.Waits = append(status.Waits, f.plan.Redactor.Shown(t.Reason))
		}
	}
	return status
}
