package api

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/pipeline/kafka"
)

// statusCollector reads lag and what is in flight when the metrics are read, so
// that they cost nothing in between.
type statusCollector struct {
	reporter Reporter
	lag      *prometheus.Desc
	inFlight *prometheus.Desc
	ready    *prometheus.Desc
}

func newStatusCollector(reporter Reporter) *statusCollector {
	return &statusCollector{
		reporter: reporter,
		lag: prometheus.NewDesc("millrace_lag",
			"Records between the group's committed offset and the end of the partition.",
			[]string{"pipeline", "topic", "partition"}, nil),
		inFlight: prometheus.NewDesc("millrace_in_flight",
			"Records delivered to the pipeline and not finished.", []string{"pipeline"}, nil),
		ready: prometheus.NewDesc("millrace_ready",
			"1 while every pipeline runs, 0 while anything is paused, alarmed or not yet joined.", nil, nil),
	}
}

// Describe names the collector's metrics.
func (c *statusCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.lag
	descs <- c.inFlight
	descs <- c.ready
}

// Collect asks the reporter once.
func (c *statusCollector) Collect(metrics chan<- prometheus.Metric) {
	status := c.reporter.Status()
	ready := 0.0
	if status.Ready {
		ready = 1
	}
	metrics <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, ready)
	for _, p := range status.Pipelines {
		metrics <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(p.InFlight), p.Name)
		for _, part := range p.Partitions {
			if part.Lag == kafka.LagUnknown {
				continue // a gauge that is absent is not one that says 0
			}
			metrics <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, float64(part.Lag),
				p.Name, part.Topic, strconv.Itoa(int(part.Partition)))
		}
	}
}
