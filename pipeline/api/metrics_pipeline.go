package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PipelineMetrics are the metrics of one pipeline. All methods are safe for
// concurrent use and do not block.
type PipelineMetrics struct {
	all  *Metrics
	name string
	lost prometheus.Counter
	// skipped counts what was skipped.
	skipped prometheus.Counter

	outcomes    *cache
	claims      *cache
	deadLetters *cache
	sinks       sync.Map // name → *SinkMetrics
}

func newPipelineMetrics(m *Metrics, name string) *PipelineMetrics {
	of := func(vec *prometheus.CounterVec) *cache {
		return &cache{words: &m.words, make: func(word string) prometheus.Counter {
			return vec.WithLabelValues(name,
				word)
		}}
	}
	return &PipelineMetrics{
		all:         m,
		name:        name,
		lost:        m.lost.WithLabelValues(name),
		skipped:     m.skipped.WithLabelValues(name),
		outcomes:    of(m.records),
		claims:      of(m.claims),
		deadLetters: of(m.deadLetters),
	}
}

// Outcome counts n records that ended so.
func (p *PipelineMetrics) Outcome(outcome string, n int) { p.outcomes.of(outcome).Add(float64(n)) }

// Skipped counts a record that a person let the pipeline go past.
func (p *PipelineMetrics) Skipped() { p.skipped.Inc() }

// Claim counts n claims that the store answered so.
func (p *PipelineMetrics) Claim(answer string, n int) { p.claims.of(answer).Add(float64(n)) }

// ConfirmLost counts a confirm that came too late.
func (p *PipelineMetrics) ConfirmLost() { p.lost.Inc() }

// DeadLetter counts a record written to the dead-letter topic. Reasons are short
// lowercase words; anything else counts as `other`.
func (p *PipelineMetrics) DeadLetter(reason string) { p.deadLetters.of(reason).Inc() }

// Alarm says whether a partition stands still for a reason of that kind.
func (p *PipelineMetrics) Alarm(topic string, partition int32, kind string, on bool) {
	labels := []string{p.name, topic, strconv.Itoa(int(partition)), p.all.words.bound(kind)}
	if on {
		p.all.alarms.WithLabelValues(labels...).Set(1)
		return
	}
	p.all.alarms.DeleteLabelValues(labels...)
}

// Sink returns the metrics of one of the pipeline's sinks, always the same for
// one name.
func (p *PipelineMetrics) Sink(name string) *SinkMetrics {
	if found, ok := p.sinks.Load(name); ok {
		return found.(*SinkMetrics)
	}
	m := p.all
	found, _ := p.sinks.LoadOrStore(name, &SinkMetrics{
		retries: m.retries.WithLabelValues(p.name, name),
		seconds: m.writeSeconds.WithLabelValues(p.name, name),
		paused:  m.paused.WithLabelValues(p.name, name),
		results: &cache{words: &m.words, make: func(word string) prometheus.Counter {
			return m.writes.WithLabelValues(p.name, name, word)
		}},
	})
	return found.(*SinkMetrics)
}

// SinkMetrics are the metrics of one sink of one pipeline. All methods are safe
// for concurrent use and do not block.
type SinkMetrics struct {
	retries prometheus.Counter
	seconds prometheus.Observer
	paused  prometheus.Gauge
	results *cache
}

// Write counts a call that the sink took, and how long it took.
func (s *SinkMetrics) Write(result string, took time.Duration) {
	s.results.of(result).Inc()
	s.seconds.Observe(took.Seconds())
}

// Retry counts a write tried again.
func (s *SinkMetrics) Retry() { s.retries.Inc() }

// Paused says whether the sink takes calls.
func (s *SinkMetrics) Paused(paused bool) {
	if paused {
		s.paused.Set(1)
		return
	}
	s.paused.Set(0)
}

// cache keeps the counters of one label's values, so that counting costs no
// look-up over all labels.
type cache struct {
	words *words
	make  func(word string) prometheus.Counter
	known sync.Map // word → prometheus.Counter
}

func (c *cache) of(word string) prometheus.Counter {
	if found, ok := c.known.Load(word); ok {
		return found.(prometheus.Counter)
	}
	bounded := c.words.bound(word)
	counter := c.make(bounded)
	// What counts as `other` is not kept: there is no end of it.
	if bounded == word {
		c.known.Store(word, counter)
	}
	return counter
}
