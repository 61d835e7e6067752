package api

import (
	"net/http"
	"runtime"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the process's own Prometheus metrics, on a registry of their own.
// No label ever holds a payload, a key or a URL. All methods are safe for
// concurrent use and do not block; what is counted per record is one map look-up
// and one atomic addition.
type Metrics struct {
	registry *prometheus.Registry

	records      *prometheus.CounterVec
	skipped      *prometheus.CounterVec
	retries      *prometheus.CounterVec
	writes       *prometheus.CounterVec
	writeSeconds *prometheus.HistogramVec
	claims       *prometheus.CounterVec
	lost         *prometheus.CounterVec
	deadLetters  *prometheus.CounterVec
	paused       *prometheus.GaugeVec
	alarms       *prometheus.GaugeVec
	ingest       *prometheus.CounterVec
	resets       prometheus.Counter

	words     words
	pipelines sync.Map // name → *PipelineMetrics
}

// NewMetrics makes the metrics of one process. Lag and what is in flight are
// asked of reporter whenever the metrics are read; it may be nil.
func NewMetrics(version string, reporter Reporter) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		records:  counter("records_total", "Records finished, by outcome.", "pipeline", "outcome"),
		skipped: counter("records_skipped_total", "Records that a person let a pipeline go past.",
			"pipeline"),
		retries: counter("retries_total", "Writes tried again.", "pipeline", "sink"),
		writes:  counter("sink_writes_total", "Calls that a sink took, by result.", "pipeline", "sink", "result"),
		claims: counter("claims_total", "Claims of idempotency keys, by the store's answer.", "pipeline",
			"answer"),
		lost: counter("confirms_lost_total", "Confirms that came too late: another holder has the key.",
			"pipeline"),
		deadLetters: counter("dead_letters_total", "Records written to the dead-letter topic, by reason.", "pipeline",
			"reason"),
		paused: gauge("paused", "1 while a sink takes no calls.", "pipeline", "sink"),
		alarms: gauge("alarms", "1 while a partition stands still until a person acts.", "pipeline", "topic",
			"partition", "kind"),
		ingest: counter("ingest_requests_total", "HTTP requests for a topic, by route and status.", "route",
			"status"),
		resets: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "millrace", Name: "store_resets_total",
			Help: "How often the key store was found to have lost its memory.",
		}),
		writeSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "millrace", Name: "sink_write_seconds", Help: "How long one call of a sink took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"pipeline", "sink"}),
	}
	build := gauge("build_info", "Always 1; the labels say what runs.", "version", "go_version")
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.records, m.skipped, m.retries, m.writes, m.writeSeconds, m.claims, m.lost,
		m.deadLetters,
		m.paused, m.alarms, m.ingest, m.resets, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if reporter != nil {
		m.registry.MustRegister(newStatusCollector(reporter))
	}
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "millrace", Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "millrace", Name: name, Help: help}, labels)
}

// Handler answers with the metrics in the format that the request asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:      m.registry,
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// Register adds a collector of another part, whose names should begin with
// `millrace_`.
func (m *Metrics) Register(c prometheus.Collector) error { return m.registry.Register(c) }

// Ingest counts a request for the route with the configured path route.
func (m *Metrics) Ingest(route string, status int) {
	m.ingest.WithLabelValues(route, strconv.Itoa(status)).Inc()
}

// Memory shows an account of size bytes, of which used tells how many are taken now;
// one without a limit is not shown.
func (m *Metrics) Memory(account string, size int64, used func() int64) {
	if size == 0 {
		return
	}
	of := prometheus.Labels{"account": account}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "millrace", Name: "memory_bytes", ConstLabels: of,
			Help: "Memory taken for what comes from outside: fetched and not finished (held), or being worked on " +
				"(work).",
		}, func() float64 { return float64(used()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "millrace", Name: "memory_size_bytes", ConstLabels: of,
			Help: "How much memory there is for what comes from outside.",
		}, func() float64 { return float64(size) }),
	)
}

// StoreReset counts a loss of the key store's memory.
func (m *Metrics) StoreReset() { m.resets.Inc() }

// Pipeline returns the metrics of one pipeline, always the same for one name
// until Forget.
func (m *Metrics) Pipeline(name string) *PipelineMetrics {
	if found, ok := m.pipelines.Load(name); ok {
		return found.(*PipelineMetrics)
	}
	found, _ := m.pipelines.LoadOrStore(name, newPipelineMetrics(m, name))
	return found.(*PipelineMetrics)
}

// Forget drops what was counted of a pipeline that no longer exists. What still
// holds its metrics counts into nothing.
func (m *Metrics) Forget(pipeline string) {
	m.pipelines.Delete(pipeline)
	of := prometheus.Labels{"pipeline": pipeline}
	for _, vec := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.records, m.skipped, m.retries, m.writes, m.writeSeconds, m.claims, m.lost, m.deadLetters,
		m.paused, m.alarms} {
		vec.DeletePartialMatch(of)
	}
}

// words keeps labels that come from a small vocabulary small, whatever arrives.
type words struct {
	mu   sync.RWMutex
	seen map[string]bool
}

const (
	maxWords   = 64
	maxWordLen = 32
	otherWord  = "other"
)

// bound returns word if it is one of the first distinct short words of lowercase
// letters, digits and underscores, else `other`.
func (w *words) bound(word string) string {
	w.mu.RLock()
	known := w.seen[word]
	w.mu.RUnlock()
	if known {
		return word
	}
	if !isWord(word) {
		return otherWord
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	if !w.seen[word] && len(w.seen) >= maxWords {
		return otherWord
	}
	w.seen[word] = true
	return word
}

func isWord(s string) bool {
	if s == "" || len(s) > maxWordLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
