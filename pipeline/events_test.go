package pipeline

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/kafka/embedded"
	"github.com/millrace/millrace/pipeline/outcome"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/secrets"
)

// told keeps what happens.
type told struct {
	mu  sync.Mutex
	all []events.Event
}

func (o *told) Observe(e events.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, e)
}

// What other packages tell in words of their own comes to the one observer, to the
// metrics and to the status; and no secret of it to what people read.
func TestWhatHappensIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	seen, redactor := new(told), secrets.New([]string{"hunter22"}, false)
	r := NewRunner(&plan.Plan{Redactor: redactor}, RunnerDeps{Version: "test", Observer: seen, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f := &flow{plan: &plan.Pipeline{Name: "p", Redactor: redactor}, tally: new(tally), log: r.deps.Logger, failed: make(chan struct{})}
	f.observer = events.Observers{f.tally, meter{r.metrics.Pipeline("p")}, seen}

	f.tell(events.Starting, nil)
	f.alarm(kafka.Alarm{Topic: "t", Partition: 3, Kind: "data_loss", Message: "hunter22 is lost"})
	f.fail(errors.New("the sink says hunter22"))
	f.fail(errors.New("and again"))
	r.brokerAlarm(embedded.Alarm{Kind: embedded.AlarmFull, Message: "hunter22 is too much"})
	r.brokerAlarm(embedded.Alarm{Kind: embedded.AlarmTorn, Topic: "t", Message: "a file"})
	r.storeReset(&idempotency.ResetError{Was: "a", Now: "b"})
	r.ingested("/orders", http.StatusAccepted)
	f.observer.Observe(events.Event{Kind: events.Record, Pipeline: "p", Outcome: outcome.Delivered})

	var kinds []string
	for _, e := range seen.all {
		kinds = append(kinds, strings.Join([]string{string(e.Kind), e.Pipeline, e.Reason, e.Route}, " "))
		if e.Time.IsZero() && e.Kind != events.Record {
			t.Errorf("%s has no time", e.Kind)
		}
	}
	want := []string{
		"lifecycle p starting ", "alarm p data_loss ", "lifecycle p stopped ", "alarm  full ", "alarm  torn ",
		"reset   ", "ingest   /orders", "record p  ",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("told:\n%q\nwant:\n%q", kinds, want)
	}

	counted := func() string {
		answer := httptest.NewRecorder()
		r.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	metrics := counted()
	for _, line := range []string{
		`millrace_alarms{kind="data_loss",partition="3",pipeline="p",topic="t"} 1`, `millrace_store_resets_total 1`,
		`millrace_ingest_requests_total{route="/orders",status="202"} 1`, `millrace_records_total{outcome="delivered",pipeline="p"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, `kind="torn"`) || strings.Contains(metrics, `kind="full"`) {
		t.Error("an alarm of the broker counts as a pipeline's")
	}
	if got := f.tally.outcomes(); got["delivered"] != 1 {
		t.Errorf("the status counts %v", got)
	}
	status := r.Status()
	if text := strings.Join(status.Reasons, "\n"); !strings.Contains(text, "the embedded broker is full: "+secrets.Redacted+" is too much") {
		t.Errorf("the status says %q", text)
	}
	if all := f.tally.troubles(); len(all) != 1 || all[0].Kind != "t/3 data_loss" || all[0].Reason != "t/3 data_loss: hunter22 is lost" {
		t.Errorf("the pipeline's troubles are %v", all)
	}
	if text := log.String(); !strings.Contains(text, "the sink says "+secrets.Redacted) {
		t.Errorf("the log says %q", text)
	}
	if all := metrics + log.String() + strings.Join(status.Reasons, ""); strings.Contains(all, "hunter22") {
		t.Errorf("a secret is shown: %s", all)
	}

	f.alarm(kafka.Alarm{Topic: "t", Partition: 3, Kind: "data_loss", Cleared: true})
	if len(f.tally.troubles()) > 0 || strings.Contains(counted(), `kind="data_loss"`) {
		t.Error("an alarm that is over stays")
	}
}
