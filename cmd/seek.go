package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/plan"
)

// seekFlags are those of `millrace seek`.
type seekFlags struct {
	to         string
	at, topics []string
	yes, dry   bool
	format     string
	pid        int
}

func (a *app) seekCommand() *cobra.Command {
	var f seekFlags
	cmd := &cobra.Command{
		Use: "seek PIPELINE", Short: "Move the offsets of a stopped pipeline, after showing from where to where",
		Long: `Seek moves what the group of a pipeline has committed, so that the next run reads
from there: back, and records are read again; forward, and they are left out. It
shows of each partition where it stands, where it would go and how many offsets
lie between, and asks. Keys are not touched: what they guard is not done twice.

A group with members is refused, and they are named: stop the pipeline everywhere
first. Seek needs no process; it uses the broker that runs, or opens its folder.

A time goes to the first record at or after it. --at moves one partition, to an
offset, to earliest or to latest; it may be repeated.`,
		Example: `  millrace seek invoice-notifications --to -2h --dry-run
  millrace seek invoice-notifications --to 2026-01-31T08:00:00Z
  millrace seek invoice-notifications --at order_invoices/3/120 --yes`,
		Args: onePipeline,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.seek(ctx, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "go to this `TIME`: "+timeForms)
	flags.StringArrayVar(&f.at, "at", nil, "go to this `PLACE`: topic/partition/offset, or …/earliest, …/latest")
	flags.StringArrayVar(&f.topics, "topic", nil, "with --to: only the partitions of this topic; may be repeated")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.dry, "dry-run", false, "only show what would be moved")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	formatFlag(cmd, &f.format)
	return cmd
}

func (a *app) seek(ctx context.Context, name string, f seekFlags) (err error) {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	goal, err := parseGoal(f, time.Now())
	if err != nil {
		return err
	}
	part, err := a.loadPart(only("kafka", pipelinePath([]string{name}).Field("source")))
	if err != nil {
		return err
	}
	chosen, err := choose(part.Plan, []string{name})
	if err != nil {
		return a.notThere(part, err)
	}
	c, err := a.look(ctx, part.Plan, f.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	s := &seeking{app: a, cluster: c, pipeline: chosen[0], goal: goal}
	if err := s.look(ctx, f.topics); err != nil {
		return err
	}
	if !f.dry {
		if err := s.refuseMembers(); err != nil {
			return err
		}
	}
	if err := s.plan(ctx); err != nil {
		return err
	}
	return s.move(ctx, f)
}

// seekGoal is where to go: everywhere to one place, or single partitions to theirs.
type seekGoal struct {
	// word is earliest or latest, empty for a time.
	word string
	time time.Time
	at   []seekPlace
}

// seekPlace is where one partition is to go.
type seekPlace struct {
	topic     string
	partition int32
	word      string // earliest or latest, empty for the offset
	offset    int64
}

func parseGoal(f seekFlags, now time.Time) (goal seekGoal, err error) {
	switch {
	case (f.to == "") == (len(f.at) == 0):
		return goal, usageError{errors.New("seek needs to know where to: --to TIME, or --at topic/partition/offset")}
	case len(f.at) > 0 && len(f.topics) > 0:
		return goal, usageError{errors.New("--at names the topic itself; it excludes --topic")}
	case f.to == "earliest" || f.to == "latest":
		goal.word = f.to
	case f.to != "":
		if goal.time, err = parseTime(f.to, now); err != nil {
			return goal, usageError{fmt.Errorf("--to: %w", err)}
		}
		if goal.time.After(now) {
			return goal, usageError{fmt.Errorf("--to: %s lies in the future; --to latest goes to where the logs end "+
				"now", goal.time.UTC().Format(time.RFC3339))}
		}
	}
	for _, text := range f.at {
		at, err := parseSeekPlace(text)
		if err != nil {
			return goal, usageError{fmt.Errorf("--at: %w", err)}
		}
		if slices.ContainsFunc(goal.at, func(other seekPlace) bool {
			return other.topic == at.topic && other.partition == at.partition
		}) {
			return goal, usageError{fmt.Errorf("--at: %s/%d is named twice", at.topic, at.partition)}
		}
		goal.at = append(goal.at, at)
	}
	return goal, nil
}

func parseSeekPlace(text string) (seekPlace, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[0] != "" && (parts[2] == "earliest" || parts[2] == "latest") {
		if n, err := strconv.ParseInt(parts[1], 10, 32); err == nil && n >= 0 {
			return seekPlace{topic: parts[0], partition: int32(n), word: parts[2]}, nil
		}
	}
	at, err := parsePlace(text)
	return seekPlace{topic: at.Topic, partition: at.Partition, offset: at.Offset}, err
}

// seeking is one seek on its way.
type seeking struct {
	app      *app
	cluster  *cluster
	pipeline *plan.Pipeline
	goal     seekGoal

	topics map[string]kafka.TopicState
	group  kafka.GroupState
	starts kafka.Offsets
	ends   kafka.Offsets
	moves  []seekMove
}

// seekMove is one partition of the group: where it stands, where it would go, and how
// many offsets that there are lie between.
type seekMove struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// From is null where the group has no commit.
	From *int64 `json:"from"`
	To   int64  `json:"to"`
	// LeftOut are the offsets that are skipped, ReadAgain those that come again.
	LeftOut   int64 `json:"left_out"`
	ReadAgain int64 `json:"read_again"`
	// OtherTopic tells that the commit is of a topic that was deleted since.
	OtherTopic bool `json:"other_topic,omitempty"`
	// Fresh tells that the group has no commit of the topic: it is left as it is, since
	// the first run begins there as the configuration says.
	Fresh bool `json:"fresh,omitempty"`

	// epoch is the key store's memory that the effects before From were recorded under:
	// what is lost of it since is to be noticed as before.
	epoch string
}

func (m seekMove) stays() bool { return m.Fresh || m.From != nil && *m.From == m.To && !m.OtherTopic }

// look asks what the cluster has of the pipeline's topics and group.
func (s *seeking) look(ctx context.Context, only []string) error {
	for _, at := range s.goal.at {
		only = append(only, at.topic)
	}
	for _, topic := range only {
		if !s.pipeline.Reads(topic) {
			hint := "reads " + strings.Join(s.pipeline.Source.Topics, ", ")
			if near := diag.Nearest(topic, s.pipeline.Source.Topics); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return usageError{fmt.Errorf("pipeline %q does not read topic %q (%s)", s.pipeline.Name, topic, hint)}
		}
	}
	names := slices.Compact(slices.Sorted(slices.Values(only)))
	if len(names) == 0 {
		names = s.pipeline.Source.Topics
	}
	if len(names) == 0 {
		there, err := s.cluster.admin.Topics(ctx)
		if err != nil {
			return err
		}
		for _, t := range there {
			if s.pipeline.Reads(t.Name) {
				names = append(names, t.Name)
			}
		}
		if len(names) == 0 {
			return fmt.Errorf("no topic matches the pattern of pipeline %q", s.pipeline.Name)
		}
	}
	for _, name := range names {
		if err := s.cluster.ensureTopic(ctx, name, false); err != nil {
			return err
		}
	}
	admin := s.cluster.admin
	var err error
	if s.topics, err = admin.InspectTopics(ctx, names...); err != nil {
		return err
	}
	if s.starts, err = admin.StartOffsets(ctx, names...); err != nil {
		return err
	}
	if s.ends, err = admin.EndOffsets(ctx, names...); err != nil {
		return err
	}
	s.group, err = admin.InspectGroup(ctx, s.pipeline.Source.Group, s.topics)
	return err
}

// refuseMembers says who is in the group, if anybody is.
func (s *seeking) refuseMembers() error {
	if s.group.Members == 0 {
		return nil
	}
	text := fmt.Sprintf("group %q has %s, and Kafka moves no offsets under them; stop them first:",
		s.pipeline.Source.Group, count(s.group.Members, "member"))
	for _, m := range s.group.Who {
		text += "\n  " + m.String()
		if m.Instance != "" {
			text += fmt.Sprintf(", static as %s: after a stop it stays for a session timeout, unless it ran with "+
				"--leave", m.Instance)
		}
	}
	return errors.New(text)
}

// plan finds out where each partition would go.
func (s *seeking) plan(ctx context.Context) error {
	to, err := s.targets(ctx)
	if err != nil {
		return err
	}
	commits, committed := map[seekKey]kafka.Commit{}, map[string]bool{}
	for _, c := range s.group.Commits {
		commits[seekKey{c.Topic, c.Partition}] = c
		committed[c.Topic] = true
	}
	some := false
	for topic, partitions := range to {
		some = some || committed[topic]
		if !committed[topic] && len(s.goal.at) > 0 {
			return s.freshError(topic)
		}
		for number, target := range partitions {
			m := seekMove{Topic: topic, Partition: number, To: target, Fresh: !committed[topic]}
			if c, ok := commits[seekKey{topic, number}]; ok {
				m.From, m.OtherTopic, m.epoch = &c.Offset, c.OtherTopic, c.Epoch
				if !c.OtherTopic {
					m.between(s.starts[topic][number], s.ends[topic][number])
				}
			}
			s.moves = append(s.moves, m)
		}
	}
	if !some {
		return s.freshError(strings.Join(slices.Sorted(maps.Keys(to)), ", "))
	}
	slices.SortFunc(s.moves, func(a, b seekMove) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

type seekKey struct {
	topic  string
	number int32
}

// freshError is that of a topic of which the group has no commit: a commit of one
// partition would decide where the others begin.
func (s *seeking) freshError(topic string) error {
	return fmt.Errorf("group %q has committed nothing of %s yet: nothing can be moved, and the first run of %q begins "+
		"there as its source.start says (%s)", s.pipeline.Source.Group, topic, s.pipeline.Name,
		cmp.Or(s.pipeline.Source.Start.Kind, kafka.StartEarliest))
}

// between counts what lies between the two offsets and is in the log.
func (m *seekMove) between(start, end int64) {
	from, to := min(max(*m.From, start), end), min(max(m.To, start), end)
	m.LeftOut, m.ReadAgain = max(0, to-from), max(0, from-to)
}

// move shows what would be moved, asks, and moves.
func (s *seeking) move(ctx context.Context, f seekFlags) error {
	var moving []seekMove
	for _, m := range s.moves {
		if !m.stays() {
			moving = append(moving, m)
		}
	}
	out := s.app.out
	if f.format == "json" {
		out = s.app.err
	}
	if f.format != "json" || !f.yes && !f.dry {
		if err := s.show(out); err != nil {
			return err
		}
	}
	if f.dry && s.group.Members > 0 && !s.app.quiet {
		fmt.Fprintf(s.app.err, "it would be refused now: %v\n", s.refuseMembers())
	}
	if f.dry || len(moving) == 0 {
		return s.end(f, len(moving) == 0)
	}
	question := fmt.Sprintf("move %s of group %q?", count(len(moving), "partition"), s.pipeline.Source.Group)
	if err := s.app.sure(question, f.yes); err != nil {
		return err
	}
	commits := make([]kafka.Commit, len(moving))
	for i, m := range moving {
		commits[i] = kafka.Commit{Topic: m.Topic, Partition: m.Partition, Offset: m.To, Epoch: m.epoch}
	}
	group := s.pipeline.Source.Group
	if err := s.cluster.admin.Move(ctx, group, commits, s.topics); kafka.HasMembers(err) {
		if s.group, err = s.cluster.admin.InspectGroup(ctx, group, s.topics); err != nil {
			return err
		}
		return cmp.Or(s.refuseMembers(), fmt.Errorf("somebody joined group %q meanwhile; nothing was moved", group))
	} else if err != nil {
		return err
	}
	if f.format == "json" {
		return s.json(true)
	}
	fmt.Fprintf(s.app.out, "moved %s; the next run of %s reads from there\n", count(len(moving), "partition"),
		s.pipeline.Name)
	return nil
}
