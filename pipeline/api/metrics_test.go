package api_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/kafka"
)

// scrape returns the samples whose names begin with millrace_ and are not of a
// histogram's buckets.
func scrape(t *testing.T, m *api.Metrics) []string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	if recorder.Code != 200 {
		t.Fatalf("got %d %s", recorder.Code, recorder.Body)
	}
	var samples []string
	for line := range strings.Lines(recorder.Body.String()) {
		if strings.HasPrefix(line, "millrace_") && !strings.Contains(line, "_bucket{") && !strings.HasPrefix(line, "millrace_build_info") {
			samples = append(samples, strings.TrimSpace(line))
		}
	}
	return samples
}

func TestMetrics(t *testing.T) {
	r := &reporter{}
	r.set(api.Status{Ready: true, Pipelines: []api.PipelineStatus{{
		Name: "orders", InFlight: 7, Partitions: []kafka.PartitionStatus{{Topic: "t", Partition: 3, Lag: 42}},
	}}})
	m := api.NewMetrics("1.2.3", r)
	p := m.Pipeline("orders")
	p.Outcome("delivered", 5)
	p.Outcome("delivered", 2)
	p.Outcome("filtered", 1)
	p.Claim("go", 3)
	p.ConfirmLost()
	p.Skipped()
	p.DeadLetter("parked")
	p.DeadLetter("https://example.com/?token=secret")
	p.Alarm("t", 3, "data_loss", true)
	p.Alarm("t", 4, "data_loss", true)
	p.Alarm("t", 4, "data_loss", false)
	s := p.Sink("http")
	s.Write("ok", 250*time.Millisecond)
	s.Retry()
	s.Paused(true)
	m.Ingest("/orders", 202)

	want := []string{
		`millrace_alarms{kind="data_loss",partition="3",pipeline="orders",topic="t"} 1`,
		`millrace_claims_total{answer="go",pipeline="orders"} 3`,
		`millrace_confirms_lost_total{pipeline="orders"} 1`,
		`millrace_dead_letters_total{pipeline="orders",reason="other"} 1`,
		`millrace_dead_letters_total{pipeline="orders",reason="parked"} 1`,
		`millrace_in_flight{pipeline="orders"} 7`,
		`millrace_ingest_requests_total{route="/orders",status="202"} 1`,
		`millrace_lag{partition="3",pipeline="orders",topic="t"} 42`,
		`millrace_paused{pipeline="orders",sink="http"} 1`,
		`millrace_ready 1`,
		`millrace_records_skipped_total{pipeline="orders"} 1`,
		`millrace_records_total{outcome="delivered",pipeline="orders"} 7`,
		`millrace_records_total{outcome="filtered",pipeline="orders"} 1`,
		`millrace_retries_total{pipeline="orders",sink="http"} 1`,
		`millrace_sink_write_seconds_sum{pipeline="orders",sink="http"} 0.25`,
		`millrace_sink_write_seconds_count{pipeline="orders",sink="http"} 1`,
		`millrace_sink_writes_total{pipeline="orders",result="ok",sink="http"} 1`,
		`millrace_store_resets_total 0`,
	}
	if diff := cmp.Diff(want, scrape(t, m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	m.Forget("orders")
	r.set(api.Status{Ready: true})
	want = []string{`millrace_ingest_requests_total{route="/orders",status="202"} 1`, `millrace_ready 1`, `millrace_store_resets_total 0`}
	if diff := cmp.Diff(want, scrape(t, m)); diff != "" {
		t.Errorf("after Forget (-want +got):\n%s", diff)
	}
}

func TestMetricsBoundTheirLabels(t *testing.T) {
	m := api.NewMetrics("", nil)
	p := m.Pipeline("orders")
	for i := range 1000 {
		p.DeadLetter(fmt.Sprintf("reason_%d", i))
		p.DeadLetter(fmt.Sprintf("Reason %d", i))
	}
	series := 0
	for _, sample := range scrape(t, m) {
		if strings.HasPrefix(sample, "millrace_dead_letters_total") {
			series++
		}
	}
	if series > 65 {
		t.Errorf("%d series of 2000 reasons", series)
	}
}

func TestMetricsCountConcurrently(t *testing.T) {
	m := api.NewMetrics("", nil)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				m.Pipeline("orders").Outcome("delivered", 1)
				m.Pipeline("orders").Sink("http").Write("ok", time.Millisecond)
			}
		})
	}
	group.Wait()
	got := strings.Join(scrape(t, m), "\n")
	for _, want := range []string{
		`millrace_records_total{outcome="delivered",pipeline="orders"} 8000`,
		`millrace_sink_writes_total{pipeline="orders",result="ok",sink="http"} 8000`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func BenchmarkOutcome(b *testing.B) {
	p := api.NewMetrics("", nil).Pipeline("orders")
	b.ReportAllocs()
	for b.Loop() {
		p.Outcome("delivered", 1)
	}
}
