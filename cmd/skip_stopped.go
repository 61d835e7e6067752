package cmd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline"
	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/preview"
	"github.com/millrace/millrace/pipeline/state"
)

// nowhere skips where no process runs the pipeline on the state folder. What stops it is
// then seen by deciding its first unfinished record. With the embedded broker the next run
// is told, by the state folder that both lie in; on a cluster, where it may run on any
// machine, the group's commit moves past the record.
func (s *skipping) nowhere(ctx context.Context) (err error) {
	part, err := s.app.loadPart(only("kafka", "idempotency", pipelinePath([]string{s.pipeline.Name})))
	if err != nil {
		return err
	}
	chosen, err := s.app.sound(part, []string{s.pipeline.Name})
	if err != nil {
		return err
	}
	s.plan, s.pipeline = part.Plan, chosen[0]
	skips, err := pipeline.Skips(s.app.state(), s.pipeline.Name)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(skips, s.skip.Same); i >= 0 && !skips[i].Passed {
		return s.say(api.SkipAnswer{Pipeline: s.pipeline.Name, Skip: skips[i], State: api.Stopped})
	}
	c, err := s.app.look(ctx, s.plan, s.flags.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.ensureTopic(ctx, s.at.Topic, false); err != nil {
		return err
	}
	found := &stopped{skipping: s, cluster: c}
	if err := found.find(ctx); err != nil {
		return err
	}
	x := &explaining{app: s.app, flags: explainFlags{pid: s.flags.pid}, plan: s.plan, chosen: chosen, cluster: c}
	if err := x.open(ctx); err != nil {
		return errors.Join(err, x.close(ctx))
	}
	claimed, err := found.judge(ctx, x)
	if err := errors.Join(err, x.close(ctx)); err != nil {
		return err
	}
	if err := s.archive(found.rec, found.unreadable); err != nil {
		return err
	}
	if len(claimed) > 0 {
		if _, err := s.app.deleteKeys(ctx, s.plan, claimed, s.flags.pid); err != nil {
			return err
		}
	}
	return found.pass(ctx)
}

// stopped is a pipeline that nobody runs, and the first record that it has not finished.
type stopped struct {
	*skipping
	cluster *cluster

	topics map[string]kafka.TopicState
	group  kafka.GroupState
	commit kafka.Commit
	rec    *handlers.Record
	// unreadable is why the record can't be read, nil where it can; next is the offset
	// behind it.
	unreadable error
	next       int64
}

// find looks where the group of the pipeline stands: at the first record behind its
// commit.
func (s *stopped) find(ctx context.Context) error {
	admin, group := s.cluster.admin, s.pipeline.Source.Group
	var err error
	if s.topics, err = admin.InspectTopics(ctx, s.at.Topic); err != nil {
		return err
	}
	if n := s.topics[s.at.Topic].Partitions; int(s.at.Partition) >= n {
		return usageError{fmt.Errorf("topic %q has no partition %d: it has %d, from 0 on", s.at.Topic, s.at.Partition,
			n)}
	}
	if s.group, err = admin.InspectGroup(ctx, group, s.topics); err != nil {
		return err
	}
	if err := s.refuseMembers(); err != nil {
		return err
	}
	i := slices.IndexFunc(s.group.Commits, func(c kafka.Commit) bool {
		return c.Topic == s.at.Topic && c.Partition == s.at.Partition
	})
	if i < 0 || s.group.Commits[i].OtherTopic {
		return s.refuse(fmt.Sprintf("its group %q has committed nothing of %s/%d", group, s.at.Topic, s.at.Partition))
	}
	s.commit = s.group.Commits[i]
	log, err := s.app.clientLogger()
	if err != nil {
		return err
	}
	first := int64(-1)
	reader, err := kafka.NewReader(s.cluster.settings, kafka.Deps{Logger: log}, s.at.Topic, kafka.ReadOptions{
		Offsets:        map[int32]int64{s.at.Partition: s.commit.Offset},
		MaxRecordBytes: s.pipeline.Source.MaxRecordBytes,
		OnUnreadable: func(_ int32, from, next int64, err error) {
			if first < 0 {
				first, s.next, s.unreadable = from, next, &preview.UnreadableError{Err: err}
			}
		},
	})
	if err != nil {
		return err
	}
	defer reader.Close()
	records, err := reader.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(records) > 0 && (first < 0 || records[0].Offset < first) {
		s.rec, s.unreadable, first = records[0], nil, records[0].Offset
		s.next = first + 1
	}
	switch {
	case first < 0:
		return s.refuse(fmt.Sprintf("it has read %s/%d to its end", s.at.Topic, s.at.Partition))
	case first != s.at.Offset:
		return s.refuse(fmt.Sprintf("the next run goes on at %s/%d/%d", s.at.Topic, s.at.Partition, first))
	}
	return nil
}

func (s *stopped) refuse(why string) error {
	return fmt.Errorf("pipeline %q does not stand at %s: no process runs it on %s, and %s", s.pipeline.Name, s.at,
		s.app.state(), why)
}

func (s *stopped) refuseMembers() error {
	if s.group.Members == 0 {
		return nil
	}
	text := fmt.Sprintf("pipeline %q runs, but not on %s: skip it where it stands, with the state folder of that "+
		"process:", s.pipeline.Name, s.app.state())
	for _, m := range s.group.Who {
		text += "\n  " + m.String()
		if m.Instance != "" {
			text += fmt.Sprintf(", static as %s: after a stop it stays for a session timeout, unless it ran with "+
				"--leave", m.Instance)
		}
	}
	return errors.New(text)
}

// judge tells whether the pipeline would stop or stand at the record, and which keys are
// still claimed for it.
func (s *stopped) judge(ctx context.Context, x *explaining) (claimed []idempotency.ID, err error) {
	if s.unreadable != nil {
		if p := s.pipeline; p.OnError == plan.ActionStop || p.OnError != plan.ActionDrop && p.DeadLetter == "" {
			return nil, nil
		}
		return nil, s.refuse("what can't be read there would not stop it")
	}
	explained, err := x.preview.Explain(ctx, preview.Item{Record: s.rec, Pipelines: []int{0}})
	if err != nil {
		return nil, err
	}
	e := &explained[0]
	for _, k := range e.Keys {
		if k.Row != nil && k.Own && k.Row.State == idempotency.Claimed {
			claimed = append(claimed, idempotency.Identity(s.pipeline.Name, k.Sink, k.Generation, e.Now.Key))
		}
	}
	switch e.Now.Halt {
	case preview.HaltStop, preview.HaltBlock:
		if e.Now.Err != nil {
			s.skip.Reason = s.app.redactor.Shown(e.Now.Err.Error())
		}
		return claimed, nil
	}
	would := fmt.Sprintf("it would not stop there: by the configuration as it is now the record would be %s",
		e.Now.Outcome)
	if e.Now.Outcome == outcome.Delivered || e.Now.Outcome == "" {
		would = "whether a sink takes that record shows only while it runs: start it, and skip it there"
	}
	return nil, s.refuse(would)
}

// pass has the next run go past the record.
func (s *stopped) pass(ctx context.Context) error {
	skip := s.now()
	id := s.topics[s.at.Topic].ID
	skip.TopicID = hex.EncodeToString(id[:])
	answer := api.SkipAnswer{Pipeline: s.pipeline.Name, Changed: true, Skip: skip}
	if s.cluster.embedded {
		folder, err := state.Open(s.app.state())
		if err != nil {
			return err
		}
		if err := pipeline.KeepSkip(folder, s.pipeline.Name, skip); err != nil {
			return err
		}
		if started, err := s.app.runningOf(ctx, 0, s.pipeline.Name); err != nil || len(started) > 0 {
			return errors.Join(err, fmt.Errorf("a process began to run %q meanwhile, and may not know of it: skip it "+
				"again where it stands there", s.pipeline.Name))
		}
		return s.say(answer)
	}
	s.commit.Offset = s.next
	err := s.cluster.admin.Move(ctx, s.pipeline.Source.Group, []kafka.Commit{s.commit}, s.topics)
	if kafka.HasMembers(err) {
		return fmt.Errorf("somebody joined group %q meanwhile: skip it where it stands now", s.pipeline.Source.Group)
	}
	if err != nil {
		return err
	}
	// For explain; the commit is what counts, and the folder may not be written.
	answer.Skip.Passed = true
	if folder, err := state.Open(s.app.state()); err == nil {
		_ = pipeline.KeepSkip(folder, s.pipeline.Name, answer.Skip)
	}
	return s.say(answer)
}

// appendLine writes a line to the end of a file, durably; what is there stays.
func appendLine(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	last := []byte{'\n'}
	if err == nil && info.Size() > 0 {
		_, err = file.ReadAt(last, info.Size()-1)
	}
	if err == nil {
		if last[0] != '\n' {
			line = append([]byte{'\n'}, line...) // a line that a crash cut off stays by itself
		}
		_, err = file.Write(append(line, '\n'))
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil && info.Size() == 0 {
		err = syncFolder(filepath.Dir(path))
	}
	return errors.Join(err, file.Close())
}

// syncFolder makes a new file's name durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func absolutePath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
