// Package pipeline is the heart of Millrace: configuration in, running pipelines
// out. No record is lost, and each effect happens once per key, as far as two
// systems without a common commit allow.
//
// The rooms, in the order of a record's way through them:
//
//   - load.go reads YAML into a Config, strictly and with positions.
//   - compile.go makes a Plan of it, or says everything that is wrong at once.
//   - runner.go opens the store and the sinks and wires a router handler for
//     each pipeline; package kafka reads, package ingest takes records in.
//   - decide.go says of one record, without any effect, what becomes of it.
//   - deliver.go claims, writes and confirms, and only then lets the offset
//     pass.
//
// Offsets are committed up to the lowest unfinished record and never beyond it:
// a key is claimed before the sink is called, confirmed only after the sink
// acknowledged, and the offset moves only after that.
package pipeline
