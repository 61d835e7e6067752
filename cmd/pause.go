package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/state"
)

// pauseFlags are those of `millrace pause` and `millrace resume`.
type pauseFlags struct {
	all    bool
	pid    int
	format string
	pause  api.Pause
}

func (a *app) pauseCommand() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use: "pause [PIPELINE]", Short: "Stop the reading of a running pipeline, until resume",
		Long: `Pause makes the processes on the state folder stop reading for a pipeline. What is
in flight finishes, its partitions stay assigned, and its lag grows; status says
who paused it, when and why, and the process is not ready. It holds over a
rebalance, and with --persist over a restart.

Replicas on other machines read on, and may be given its partitions: pause names
those that they have now.`,
		Example: `  millrace pause invoice-notifications --reason 'the receiver is rebuilt, INC-7'
  millrace pause --all --persist`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.pause.User, f.pause.Host, f.pause.PID = whoAmI()
			if err := f.pause.Check(); err != nil {
				return usageError{fmt.Errorf("--reason: %w", err)}
			}
			return a.pauseOrResume(cmd.Context(), args, f,
				func(client *api.Client, name string) (api.PauseAnswer, error) {
					return client.Pause(cmd.Context(), name, f.pause)
				}, a.sayPaused)
		},
	}
	f.addTo(cmd)
	cmd.Flags().StringVar(&f.pause.Reason, "reason", "", "why, for status to show")
	cmd.Flags().BoolVar(&f.pause.Persist, "persist", false, "keep it over a restart, in the state folder")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use: "resume [PIPELINE]", Short: "Let a pipeline that was paused read again",
		Long: `Resume ends what pause began, in every process on the state folder. What else a
pipeline waits for, such as a sink that is down, it waits for still. Where nothing
runs, it makes a pipeline that was paused with --persist start unpaused.`,
		Example: "  millrace resume invoice-notifications",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs, err := a.processes(0); err == nil && len(runs) == 0 && f.all != (len(args) == 1) {
				return a.resumeLater(args)
			}
			return a.pauseOrResume(cmd.Context(), args, f,
				func(client *api.Client, name string) (api.PauseAnswer, error) {
					return client.Resume(cmd.Context(), name)
				}, a.sayResumed)
		},
	}
	f.addTo(cmd)
	return cmd
}

func (f *pauseFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "every pipeline")
	cmd.Flags().IntVar(&f.pid, "pid", 0, "only this process")
	formatFlag(cmd, &f.format)
}

// whoAmI is what status says of who paused a pipeline.
func whoAmI() (name, host string, pid int) {
	name, host = os.Getenv("USER"), "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	if name == "" {
		name = strconv.Itoa(os.Getuid())
	}
	return name, host, os.Getpid()
}

// pauseAnswer is what one process says of one pipeline.
type pauseAnswer struct {
	PID int `json:"pid"`
	api.PauseAnswer
}

// pauseOrResume does one or the other in every process that runs the pipeline, or
// all of theirs, and says what came of it.
func (a *app) pauseOrResume(ctx context.Context, args []string, f pauseFlags,
	do func(*api.Client, string) (api.PauseAnswer, error), say func(pauseAnswer)) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	if f.all == (len(args) == 1) {
		return usageError{errors.New("name one pipeline, or give --all")}
	}
	runs, err := a.processes(f.pid)
	if err != nil {
		return err
	}
	statuses, err := a.statuses(ctx, f.pid, args)
	if err != nil {
		return err
	}
	var answers []pauseAnswer
	for _, s := range statuses {
		for _, p := range s.Pipelines {
			answer, err := a.toProcess(runs, s.PID, p.Name, do)
			if err != nil {
				return err
			}
			answers = append(answers, answer)
		}
	}
	if len(answers) == 0 {
		return fmt.Errorf("no pipeline runs on %s", a.state())
	}
	withoutOwn(answers)
	if f.format == "json" {
		return json.NewEncoder(a.out).Encode(answers)
	}
	for _, answer := range answers {
		say(answer)
	}
	return nil
}

func (a *app) toProcess(runs []state.Run, pid int, name string,
	do func(*api.Client, string) (api.PauseAnswer, error)) (pauseAnswer, error) {
	i := slices.IndexFunc(runs, func(r state.Run) bool { return r.PID == pid })
	if i < 0 {
		return pauseAnswer{}, fmt.Errorf("process %d ended meanwhile", pid)
	}
	client := api.Dial(runs[i].Socket)
	defer client.Close()
	answer, err := do(client, name)
	if err != nil {
		return pauseAnswer{}, fmt.Errorf("ask process %d: %w", pid, err)
	}
	return pauseAnswer{pid, answer}, nil
}

// withoutOwn takes out of the partitions that others have those of the processes
// that were asked too.
func withoutOwn(answers []pauseAnswer) {
	type place struct {
		pipeline, topic string
		partition       int32
	}
	asked := map[place]bool{}
	for _, answer := range answers {
		for _, own := range answer.Own {
			asked[place{answer.Pipeline, own.Topic, own.Partition}] = true
		}
	}
	for i := range answers {
		answers[i].Others = slices.DeleteFunc(answers[i].Others, func(o kafka.Assignment) bool {
			return asked[place{answers[i].Pipeline, o.Topic, o.Partition}]
		})
	}
}

func (a *app) sayPaused(p pauseAnswer) {
	switch {
	case p.Changed && p.State == api.Stopped:
		fmt.Fprintf(a.out,
			"%s: paused, but it had stopped by itself and reads nothing anyway: see `millrace status %s`\n", p.Pipeline,
			p.Pipeline)
	case p.Changed:
		finish := "nothing is in flight"
		if p.InFlight > 0 {
			finish = count(p.InFlight, "record") + " in flight finish"
		}
		fmt.Fprintf(a.out, "%s: paused in process %d; %s, and it keeps %s\n", p.Pipeline, p.PID, finish, places(p.Own))
	default:
		fmt.Fprintf(a.out, "%s: is %s\n", p.Pipeline, p.Pause)
	}
	for _, member := range slices.Sorted(maps.Keys(byMember(p.Others))) {
		fmt.Fprintf(a.out, "  ! another replica, %s, reads on: %s\n", member, places(byMember(p.Others)[member]))
	}
	if p.OthersUnknown != "" {
		fmt.Fprintf(a.out, "  ! whether other replicas read on is not known: %s\n", p.OthersUnknown)
	}
}

func (a *app) sayResumed(p pauseAnswer) {
	switch {
	case !p.Changed:
		fmt.Fprintf(a.out, "%s: is not paused; it is %s\n", p.Pipeline, p.State)
	case p.State == api.Stopped:
		fmt.Fprintf(a.out, "%s: no longer paused, but it had stopped by itself: see `millrace status %s`\n", p.Pipeline,
			p.Pipeline)
	default:
		fmt.Fprintf(a.out, "%s: reads on in process %d, after %s; it was %s\n", p.Pipeline, p.PID,
			time.Since(p.Pause.Since).Round(time.Second), p.Pause)
	}
}

// resumeLater ends what is kept of pauses where nothing runs.
func (a *app) resumeLater(args []string) error {
	kept, err := state.Pauses(a.state())
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(kept))
	if len(names) == 0 {
		return fmt.Errorf("nothing runs on %s, and nothing would start paused", a.state())
	}
	if len(args) == 1 {
		if !slices.Contains(names, args[0]) {
			return unknownName("paused pipeline", args[0], names)
		}
		names = args
	}
	for _, name := range names {
		if err := state.ForgetPause(a.state(), name); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s: nothing runs; it reads again at the next start\n", name)
	}
	return nil
}

// byMember sorts partitions by who has them.
func byMember(all []kafka.Assignment) map[string][]kafka.Assignment {
	members := map[string][]kafka.Assignment{}
	for _, p := range all {
		who := strings.TrimPrefix(p.Host, "/") + " (" + p.Client + ")"
		members[who] = append(members[who], p)
	}
	return members
}

// places writes partitions as orders/0-3,7: topics in order, neighbours together.
func places(all []kafka.Assignment) string {
	if len(all) == 0 {
		return "no partitions"
	}
	numbers := map[string][]int32{}
	for _, p := range all {
		numbers[p.Topic] = append(numbers[p.Topic], p.Partition)
	}
	var topics []string
	for _, topic := range slices.Sorted(maps.Keys(numbers)) {
		topics = append(topics, topic+"/"+ranges(numbers[topic]))
	}
	return strings.Join(topics, " ")
}

func ranges(numbers []int32) string {
	slices.Sort(numbers)
	var parts []string
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		part := strconv.Itoa(int(numbers[i]))
		if last > i {
			part += "-" + strconv.Itoa(int(numbers[last]))
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ",")
}
