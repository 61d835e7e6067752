package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/jobs"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/state"
)

// report says how a job ended.
func (j *jobCommand) report(s api.JobStatus) error {
	if j.flags.format == "json" {
		if err := json.NewEncoder(j.app.out).Encode(s); err != nil {
			return err
		}
	} else {
		sayJob(j.app.out, s)
	}
	switch s.State {
	case api.JobFinished:
		return nil
	case api.JobInterrupted:
		return fmt.Errorf("%s was interrupted: the same command with --id %s goes on", s.ID, s.ID)
	case api.JobFailed:
		return fmt.Errorf("%s failed: %s", s.ID, s.Error)
	}
	return fmt.Errorf("%s was cancelled", s.ID)
}

// sayJob writes how a job ended, and why it did nothing where that is so.
func sayJob(out io.Writer, s api.JobStatus) {
	took := s.Ended.Sub(s.Began).Round(100 * time.Millisecond)
	fmt.Fprintf(out, "%s %s after %s\n", s.ID, s.State, took)
	words := jobWords(s.Counts)
	for _, word := range words {
		fmt.Fprintf(out, "  %-14s %9d\n", word, s.Counts[word])
	}
	if s.WhereFailed > 0 {
		fmt.Fprintf(out, "%s left out: --where failed for them\n", are(s.WhereFailed, "record"))
	}
	if s.NotKept != "" {
		fmt.Fprintf(out, "! how it ended is not kept for `millrace jobs`: %s\n", s.NotKept)
	}
	if s.Kind == api.Replay {
		sayReplay(out, s)
	} else {
		sayRedrive(out, s)
	}
}

// sayReplay says why a replay did nothing, where that is so, and what it left out.
func sayReplay(out io.Writer, s api.JobStatus) {
	if n := s.Counts[string(outcome.Duplicate)]; n > 0 && s.Counts[string(outcome.Delivered)] == 0 &&
		s.Counts[string(outcome.DeadLettered)] == 0 {
		text := fmt.Sprintf("nothing was done again: %s done already", are(int(n), "record"))
		if !s.Expires.IsZero() {
			text += ", and the first of their keys is forgotten at " + stamp(s.Expires)
		}
		fmt.Fprintln(out, text+"; --force makes the effects again, once per key and replay")
	}
	if n := s.Counts[outcome.ReasonForgotten]; n > 0 {
		fmt.Fprintf(out, "%s left out: they may have been done so long ago that their keys are forgotten; --forgotten "+
			"makes their effects\n", are(int(n), "record"))
	}
}

// jobWords are the words that a job counts by, in the order in which they are shown.
func jobWords(counts map[string]int64) []string {
	var words []string
	for _, o := range outcome.All() {
		if counts[string(o)] > 0 {
			words = append(words, string(o))
		}
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// maxParts is how many partitions are shown one by one.
const maxParts = 12

// sayParts writes what a window holds by partition.
func sayParts(out io.Writer, parts []jobs.CountedPart) {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p jobs.CountedPart) bool { return p.Records == 0 })
	for i, p := range parts {
		if i == maxParts && len(parts) > maxParts+1 {
			fmt.Fprintf(out, "  and %s more\n", count(len(parts)-i, "partition"))
			return
		}
		place := fmt.Sprintf("%s/%d", p.Topic, p.Partition)
		fmt.Fprintf(out, "  %-24s %9d  offsets %d to %d\n", place, p.Records, p.From, p.Until-1)
	}
}

// endedJobs are those that the state folder knows, oldest first. What can't be read
// is left out.
func (a *app) endedJobs() []api.JobStatus {
	lines, err := state.Jobs(a.state())
	if err != nil {
		fmt.Fprintf(a.err, "millrace: %v\n", err)
	}
	var all []api.JobStatus
	for _, line := range lines {
		var s api.JobStatus
		if json.Unmarshal(line, &s) == nil && s.ID != "" {
			all = append(all, s)
		}
	}
	return all
}

// jobProgress shows how far a job is: a bar on a terminal, else a line now and then.
type jobProgress struct {
	app   *app
	total int
	began time.Time
	first int64
	// said is when that was last shown.
	said  time.Time
	waits string
	bar   bool
}

func (a *app) newJobProgress(job api.Job) *jobProgress {
	return &jobProgress{app: a, total: job.Records, began: time.Now(), said: time.Now(), first: -1,
		bar: terminal(a.err) && !a.quiet}
}

// plainEvery is how often a line tells how far a job is where nobody looks.
const plainEvery = 10 * time.Second

func (p *jobProgress) show(s api.JobStatus) {
	if p.first < 0 {
		p.first = s.Done
	}
	waits := strings.Join(s.Waits, "; ")
	switch {
	case p.bar:
		fmt.Fprintf(raw(p.app.err), "\r\x1b[K%s", p.line(s, waits))
	case !p.app.quiet && (time.Since(p.said) >= plainEvery || waits != p.waits && waits != ""):
		p.said = time.Now()
		fmt.Fprintf(p.app.err, "%s: %s\n", s.ID, p.line(s, waits))
	}
	p.waits = waits
}

func (p *jobProgress) line(s api.JobStatus, waits string) string {
	rate := float64(s.Done-p.first) / max(time.Since(p.began).Seconds(), 0.001)
	line := fmt.Sprintf("%d of %s, %.0f/s", s.Done, count(p.total, "record"), rate)
	if p.total > 0 {
		part := min(1, float64(s.Done)/float64(p.total))
		if left := float64(p.total) - float64(s.Done); rate > 0 && left > 0 {
			line += ", " + time.Duration(left/rate*float64(time.Second)).Round(time.Second).String() + " left"
		}
		if p.bar {
			full := int(part * progressWidth)
			bar := strings.Repeat("█", full) + strings.Repeat("░", progressWidth-full)
			line = fmt.Sprintf("[%s] %3.0f %%  %s", bar, part*100, line)
		}
	}
	if waits != "" {
		line += "; waits: " + waits
	}
	return line
}

func (p *jobProgress) done() {
	if p.bar {
		fmt.Fprint(raw(p.app.err), "\r\x1b[K")
	}
}
