package pipeline

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/clock"
	"github.com/millrace/millrace/pipeline/deliver"
	"github.com/millrace/millrace/pipeline/state"
)

// mostPassed is how many skips of a pipeline are remembered that are passed.
const mostPassed = 1000

// Skips are the records that people let a pipeline go past, as the state folder dir knows
// them, oldest first.
func Skips(dir, pipeline string) ([]api.Skip, error) {
	text, err := state.Skips(dir, pipeline)
	if err != nil || text == nil {
		return nil, err
	}
	var all []api.Skip
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read which records of pipeline %q are skipped: %w", pipeline, err)
	}
	return all, nil
}

// KeepSkip adds a record to those that a pipeline goes past, durably. A process that runs
// the pipeline on the folder must be asked instead.
func KeepSkip(folder *state.Folder, pipeline string, skip api.Skip) error {
	all, err := Skips(folder.Dir(), pipeline)
	if err != nil {
		return err
	}
	return keepSkips(folder, pipeline, withSkip(all, skip))
}

// withSkip is all with one more, in the place of an earlier one of the same record.
func withSkip(all []api.Skip, skip api.Skip) []api.Skip {
	return append(slices.DeleteFunc(slices.Clone(all), skip.Same), skip)
}

func keepSkips(folder *state.Folder, pipeline string, all []api.Skip) error {
	passed := 0
	for _, s := range all {
		if s.Passed {
			passed++
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(s api.Skip) bool {
		old := s.Passed && passed > mostPassed
		if old {
			passed--
		}
		return old
	})
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return folder.KeepSkips(pipeline, append(text, '\n'))
}

// skipBook knows which records people let the pipelines of a process go past. A skip is of
// a name, not of a flow. Its methods are safe for concurrent use.
type skipBook struct {
	log *slog.Logger

	mu     sync.Mutex
	folder *state.Folder
	of     map[string]*skipPage
}

type skipPage struct {
	all []api.Skip
	// flow is what the pipeline's delivery goes by.
	flow deliver.Skips
}

func newSkipBook(pipelines []string, log *slog.Logger) *skipBook {
	b := &skipBook{log: log, of: map[string]*skipPage{}}
	for _, name := range pipelines {
		b.of[name] = &skipPage{}
	}
	return b
}

// load reads what is to be skipped. What can't be read skips nothing.
func (b *skipBook) load(folder *state.Folder) {
	if folder == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.folder = folder
	for name, page := range b.of {
		var err error
		if page.all, err = Skips(folder.Dir(), name); err != nil {
			b.log.Warn("what was to be skipped is not known any more", "pipeline", name, "err", err)
		}
		for _, s := range page.all {
			if !s.Passed {
				b.log.Info("goes past a record, as a person said", "pipeline", name, "record", s.Place(), "skipped",
					s.String())
				page.add(s)
			}
		}
	}
}

func (p *skipPage) add(s api.Skip) { p.flow.Add(s.Topic, topicIDOf(s), s.Partition, s.Offset) }

// topicIDOf is all zero where it is not known.
func topicIDOf(s api.Skip) (id [16]byte) {
	if text, err := hex.DecodeString(s.TopicID); err == nil && len(text) == len(id) {
		copy(id[:], text)
	}
	return id
}

// flow is what the delivery of a pipeline goes by.
func (b *skipBook) flow(pipeline string) *deliver.Skips {
	if b == nil || b.of[pipeline] == nil {
		return nil
	}
	return &b.of[pipeline].flow
}

// open are those of a pipeline that its commit has not passed.
func (b *skipBook) open(pipeline string) []api.Skip {
	if b == nil || b.of[pipeline] == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.of[pipeline].all), func(s api.Skip) bool { return s.Passed })
}

// add keeps a skip and lets the pipeline go past its record.
func (b *skipBook) add(pipeline string, s api.Skip) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.folder == nil {
		return errors.New("nothing can be skipped: there is no state folder to keep that in")
	}
	page := b.of[pipeline]
	all := withSkip(page.all, s)
	if err := keepSkips(b.folder, pipeline, all); err != nil {
		return err
	}
	page.all = all
	page.add(s)
	return nil
}

// pass notes what the commits of a pipeline's group have passed.
func (b *skipBook) pass(pipeline string, passed func(api.Skip) bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	page, changed := b.of[pipeline], false
	all := slices.Clone(page.all)
	for i, s := range all {
		if !s.Passed && passed(s) {
			all[i].Passed, changed = true, true
		}
	}
	if !changed {
		return nil
	}
	if err := keepSkips(b.folder, pipeline, all); err != nil {
		return err
	}
	for i, s := range all {
		if s.Passed && !page.all[i].Passed {
			page.flow.Remove(s.Topic, s.Partition, s.Offset)
		}
	}
	page.all = all
	return nil
}

// skipsEvery is how often it is looked whether commits have passed what is skipped.
const skipsEvery = time.Second

// watchSkips forgets skips once the group's commit lies behind them.
func (r *Runner) watchSkips(ctx context.Context) {
	for clock.Sleep(ctx, skipsEvery) {
		for _, p := range r.plan.Pipelines {
			if len(r.skips.open(p.Name)) == 0 {
				continue
			}
			asked, cancel := context.WithTimeout(ctx, membersLimit)
			committed, err := r.admin.Committed(asked, p.Source.Group)
			cancel()
			if err != nil {
				continue // the next look may tell
			}
			if err := r.skips.pass(p.Name, func(s api.Skip) bool {
				return committed[s.Topic][s.Partition] > s.Offset
			}); err != nil {
				r.deps.Logger.Warn("a skip that is passed is still kept", "pipeline", p.Name, "err", err)
			}
		}
	}
}

// Skip lets a pipeline go past a record at which it stands. One that has stopped there
// begins anew.
func (r *Runner) Skip(ctx context.Context, pipeline string, asked api.Skip) (api.SkipAnswer, error) {
	i := slices.Index(names(r.plan.Pipelines), pipeline)
	if i < 0 {
		return api.SkipAnswer{}, &api.UnknownPipelineError{Name: pipeline}
	}
	r.skipping.Lock()
	defer r.skipping.Unlock()
	r.mu.Lock()
	s, book := r.supervisor, r.skips
	r.mu.Unlock()
	answer := api.SkipAnswer{Pipeline: pipeline, Skip: asked, State: api.Starting}
	if at := slices.IndexFunc(book.open(pipeline), asked.Same); at >= 0 {
		answer.Skip = book.open(pipeline)[at]
		if f := s.find(pipeline); f != nil {
			answer.State = f.running()
		}
		return answer, nil
	}
	f := s.find(pipeline)
	none := &api.NotStandingError{Pipeline: pipeline, Place: asked.Place()}
	if f == nil {
		return answer, none
	}
	for _, at := range f.standing() {
		shown := f.shownStanding(at)
		none.Standing = append(none.Standing, shown)
		if at.Topic == asked.Topic && at.Partition == asked.Partition && at.Offset == asked.Offset {
			answer.Changed = true
			answer.Skip.TopicID, answer.Skip.Reason = hex.EncodeToString(at.TopicID[:]), shown.Reason
		}
	}
	if !answer.Changed {
		none.Waits = f.status(false).Reasons
		return answer, none
	}
	if err := book.add(pipeline, answer.Skip); err != nil {
		return answer, err
	}
	f.log.Warn("goes past a record, as a person said", "record", asked.Place(), "skipped", answer.Skip.String())
	if f.stopped() != nil && s.ended() == nil && !r.deps.UntilEnd {
		if err := s.replace(context.WithoutCancel(ctx), r.plan.Pipelines[i]); err != nil {
			return answer, fmt.Errorf("it is skipped, but the pipeline can't begin anew: %w", err)
		}
		f = s.find(pipeline)
	}
	answer.State = f.running()
	return answer, nil
}

// stoppedHint says what becomes of a pipeline that stopped.
func stoppedHint(err error) string {
	if _, ok := errors.AsType[*deliver.StopError](err); ok {
		return "; the pipeline does not go on by itself (see `millrace skip`)"
	}
	return "; the pipeline does not go on by itself"
}

// standing are the records at which the pipeline stands, also where it has stopped.
func (f *flow) standing() []deliver.Standing {
	all := f.delivery.Standing()
	if stopped, ok := errors.AsType[*deliver.StopError](f.stopped()); ok {
		all = append(all, stopped.Standing())
	}
	return all
}

func (f *flow) shownStanding(at deliver.Standing) api.Standing {
	return api.Standing{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, Sink: at.Sink,
		Reason: f.plan.Redactor.Shown(at.Why)}
}

// shownStandings is standing for people, without end.
func (f *flow) shownStandings() []api.Standing {
	var all []api.Standing
	for _, at := range f.standing() {
		all = append(all, f.shownStanding(at))
	}
	return all
}
