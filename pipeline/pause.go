package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/state"
)

// pauseBook knows which pipelines a person paused. A pause is of a name, not of a
// flow: it outlives a rebalance, and a flow that is put in the place of another.
// Its methods are safe for concurrent use; a nil one has no pauses.
type pauseBook struct {
	log *slog.Logger

	mu sync.Mutex
	// folder keeps those that persist, nil where nothing can be kept.
	folder *state.Folder
	now    map[string]api.Pause
}

func newPauseBook(log *slog.Logger) *pauseBook {
	return &pauseBook{log: log, now: map[string]api.Pause{}}
}

// open reads which of the pipelines were paused when the process before ended. What
// can't be read pauses as well: a person wanted it.
func (b *pauseBook) open(folder *state.Folder, pipelines []string) error {
	if folder == nil {
		return nil
	}
	kept, err := state.Pauses(folder.Dir())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.folder = folder
	for _, name := range pipelines {
		text, ok := kept[name]
		if !ok {
			continue
		}
		var p api.Pause
		if err := json.Unmarshal(text, &p); err != nil || p.Check() != nil {
			p = api.Pause{User: "unknown", Host: "unknown", Since: time.Now().UTC(),
				Reason: "who paused it and why can't be read any more"}
		}
		p.Persist = true
		b.now[name] = p
		b.log.Warn("the pipeline starts paused, and reads nothing until `millrace resume`", "pipeline", name, "paused",
			p.String())
	}
	return nil
}

// of is the pause of a pipeline, nil where nobody paused it.
func (b *pauseBook) of(pipeline string) *api.Pause {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.now[pipeline]
	if !ok {
		return nil
	}
	return &p
}

// pause notes a pause, and returns the one that holds: an earlier one stays, but may
// be kept over a restart from now on.
func (b *pauseBook) pause(pipeline string, p api.Pause) (holds api.Pause, changed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	holds, was := b.now[pipeline]
	if was {
		persist := p.Persist
		p, p.Persist = holds, holds.Persist || persist
	}
	if p.Persist && !holds.Persist {
		if err := b.keep(pipeline, p); err != nil {
			return holds, false, err
		}
	}
	b.now[pipeline] = p
	return p, !was, nil
}

func (b *pauseBook) keep(pipeline string, p api.Pause) error {
	if b.folder == nil {
		return fmt.Errorf("pipeline %q can't be paused over a restart: there is no state folder to keep that in",
			pipeline)
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return b.folder.KeepPause(pipeline, append(text, '\n'))
}

// resume ends a pause, and returns it; nil where there was none.
func (b *pauseBook) resume(pipeline string) (*api.Pause, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, was := b.now[pipeline]
	if !was {
		return nil, nil
	}
	if p.Persist {
		if err := state.ForgetPause(b.folder.Dir(), pipeline); err != nil {
			return nil, err
		}
	}
	delete(b.now, pipeline)
	return &p, nil
}

// apply brings a flow in line with what holds for its pipeline.
func (b *pauseBook) apply(f *flow) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, paused := b.now[f.plan.Name]; paused {
		f.subscriber.Pause()
	} else {
		f.subscriber.Resume()
	}
}

// Pause stops the reading of a pipeline on behalf of a person.
func (r *Runner) Pause(ctx context.Context, pipeline string, p api.Pause) (api.PauseAnswer, error) {
	if !slices.Contains(names(r.plan.Pipelines), pipeline) {
		return api.PauseAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	}
	holds, changed, err := r.pauses.pause(pipeline, p)
	if err != nil {
		return api.PauseAnswer{}, err
	}
	if changed {
		r.deps.Logger.Warn("paused by a person; what is in flight finishes", "pipeline", pipeline, "paused",
			holds.String())
	}
	answer := r.applyPause(pipeline)
	answer.Changed, answer.Pause = changed, &holds
	r.addMembers(ctx, &answer)
	return answer, nil
}

// Resume lets a pipeline that a person paused read again.
func (r *Runner) Resume(_ context.Context, pipeline string) (api.PauseAnswer, error) {
	if !slices.Contains(names(r.plan.Pipelines), pipeline) {
		return api.PauseAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	}
	was, err := r.pauses.resume(pipeline)
	if err != nil {
		return api.PauseAnswer{}, err
	}
	if was != nil {
		r.deps.Logger.Info("resumed by a person", "pipeline", pipeline, "was", was.String())
	}
	answer := r.applyPause(pipeline)
	answer.Changed, answer.Pause = was != nil, was
	return answer, nil
}

// applyPause brings a pipeline in line with what holds for it, and tells how it fares.
// One that has not begun to flow follows when it does.
func (r *Runner) applyPause(pipeline string) api.PauseAnswer {
	r.mu.Lock()
	s := r.supervisor
	r.mu.Unlock()
	answer := api.PauseAnswer{Pipeline: pipeline, State: api.Starting}
	if f := s.find(pipeline); f != nil {
		r.pauses.apply(f)
		status := f.status(false)
		answer.State, answer.InFlight = status.State, status.InFlight
		for _, p := range status.Partitions {
			answer.Own = append(answer.Own, kafka.Assignment{Topic: p.Topic, Partition: p.Partition})
		}
	}
	return answer
}

// membersLimit bounds how long a pause waits for the brokers to tell who else reads.
const membersLimit = 3 * time.Second

// addMembers tells which partitions other members of the pipeline's group have.
func (r *Runner) addMembers(ctx context.Context, answer *api.PauseAnswer) {
	if r.admin == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, membersLimit)
	defer cancel()
	for _, p := range r.plan.Pipelines {
		if p.Name != answer.Pipeline {
			continue
		}
		all, err := r.admin.Assigned(ctx, p.Source.Group)
		if err != nil {
			answer.OthersUnknown = r.plan.Redactor.Text(err.Error())
		}
		for _, a := range all {
			own := slices.ContainsFunc(answer.Own, func(o kafka.Assignment) bool {
				return o.Topic == a.Topic &&
					o.Partition == a.Partition
			})
			if !own {
				answer.Others = append(answer.Others, a)
			}
		}
	}
}
