package pipeline

import (
	"context"
	"fmt"
	"github.com/millrace/millrace/pipeline/clock"
	"log/slog"
	"strings"
	"time"
)

const (
	// clusterLook is how often it is asked whether a broker answers, traffic or not.
	clusterLook = time.Second
	// clusterAnswer is how long an answer may take.
	clusterAnswer = 5 * time.Second
)

// outage is one thing that the process can't do without, as it was last found. Its
// beginning, each cause and its end are logged once.
type outage struct {
	// what is its name in the log and in the status.
	what  string
	since time.Time
	said  map[string]bool
}

// noted takes what a look found and returns why the process is not ready, empty
// where it is.
func (o *outage) noted(log *slog.Logger, err error) string {
	if err == nil {
		if !o.since.IsZero() {
			log.Info("resumed", "waited_for", o.what, "after", time.Since(o.since).Round(time.Second).String())
		}
		o.since, o.said = time.Time{}, nil
		return ""
	}
	if o.since.IsZero() {
		o.since, o.said = time.Now(), map[string]bool{}
	}
	text := cause(err)
	if !o.said[text] {
		o.said[text] = true
		log.Error("paused; nothing is dropped, and it goes on by itself", "waiting_for", o.what, "err", text)
	}
	return fmt.Sprintf("%s does not answer, since %s UTC: %s", o.what, o.since.UTC().Format(time.TimeOnly), text)
}

// watchCluster asks now and then whether any broker answers, so that a process
// that has nothing to do knows as well.
func (r *Runner) watchCluster(ctx context.Context) {
	away := outage{what: "Kafka"}
	for clock.Sleep(ctx, clusterLook) {
		asked, cancel := context.WithTimeout(ctx, clusterAnswer)
		err := r.admin.Answers(asked)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = fmt.Errorf("no broker answers at %s: %w", r.brokers(), err)
		}
		down := away.noted(r.deps.Logger, err)
		r.mu.Lock()
		r.clusterDown = down
		r.mu.Unlock()
	}
}

// brokers are the addresses that the cluster is reached by.
func (r *Runner) brokers() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.settings.Brokers, ", ")
}
