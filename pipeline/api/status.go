// Package api is what a running process tells of itself and lets others change: one [Handler],
// whoever listens, with a [Reporter] and a [Controller] behind it; health and metrics beside it,
// and the [Client] by which commands talk to a process through its control socket.
package api

import (
	"context"
	"time"

	"github.com/millrace/millrace/pipeline/kafka"
)

// Status is what a running process does, as `millrace status` shows it.
type Status struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Files   []string  `json:"files,omitempty"`
	// Digest is that of the files, as dead letters carry it.
	Digest string `json:"config_digest,omitempty"`
	// Broker is the address of the embedded broker, or the cluster's.
	Broker   string `json:"broker"`
	Embedded bool   `json:"embedded"`
	// Ready is false while something is paused, alarmed, or not yet joined.
	Ready bool `json:"ready"`
	// Reasons say why it is not ready; Kinds are what they are about, in the same
	// order, with nothing of a record or of an error in them.
	Reasons []string `json:"reasons,omitempty"`
	Kinds   []string `json:"kinds,omitempty"`
	Ingest  string   `json:"ingest,omitempty"`
	// IngestTLS tells that ingest speaks TLS.
	IngestTLS bool             `json:"ingest_tls,omitempty"`
	Health    string           `json:"health,omitempty"`
	Pipelines []PipelineStatus `json:"pipelines"`
	// Jobs are those that the process works on now.
	Jobs []JobStatus `json:"jobs,omitempty"`
}

// State is what a pipeline does.
type State string

// The states of a pipeline.
const (
	// Starting has not joined its group yet.
	Starting State = "starting"
	// Running takes records.
	Running State = "running"
	// Waiting would run, and can't for what its reasons say.
	Waiting State = "waiting"
	// Paused was told to take no records by a person.
	Paused State = "paused"
	// Draining finishes what is in flight, and takes nothing new.
	Draining State = "draining"
	// Stopped does not go on by itself.
	Stopped State = "stopped"
)

// PipelineStatus is how one pipeline fares.
type PipelineStatus struct {
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Reasons []string `json:"reasons,omitempty"`
	// Kinds are what the reasons are about, as in Status.
	Kinds []string `json:"kinds,omitempty"`
	// Paused is who paused it, nil where nobody did.
	Paused *Pause `json:"paused,omitempty"`
	// Standing are the records that it does not get past by itself, and Skipped those that
	// a person lets it go past and that its commit has not passed yet.
	Standing []Standing `json:"standing,omitempty"`
	Skipped  []Skip     `json:"skipped,omitempty"`
	// Outcomes counts records since the start, by outcome.
	Outcomes map[string]int64 `json:"outcomes"`
	Retries  int64            `json:"retries"`
	// InFlight is how many records are delivered and not finished; of a paused one,
	// how many are still worked on.
	InFlight int `json:"in_flight"`
	// Lag is how many offsets are not committed yet: of this moment where the
	// brokers answer, else as it was known a few seconds ago, else unknown. Of a
	// pipeline that stopped it is what its group leaves of its partitions.
	Lag        kafka.Lag               `json:"lag"`
	Partitions []kafka.PartitionStatus `json:"partitions"`
}

// Reporter tells the status of the process; it must not block for long and must
// be safe for concurrent use.
type Reporter interface {
	Status() Status
}

// Measurer is implemented by reporters whose status can be brought up to date.
type Measurer interface {
	// Measure asks the brokers how far the logs reach. It returns when ctx ends
	// at the latest.
	Measure(ctx context.Context)
}
