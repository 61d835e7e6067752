// Package pipeline is the heart of Millrace: configuration in, running pipelines
// out. No record is lost, and each effect happens once per key, as far as two
// systems without a common commit allow.
//
// The rooms, in the order of a record's way through them, each with the files
// that begin with its name or stand beside it here:
//
//   - load.go reads YAML into a Config (config*.go), strictly and with positions;
//     available.go lists what this version can't run yet.
//   - compile.go makes a Plan (plan.go) of it, or says everything that is wrong
//     at once, with expressions checked against the topics' schemas
//     (compile_schema.go); connect.go compares the Plan with the world, and writes
//     nothing.
//   - schema.go (with config_schema.go) tells editors what a file may hold,
//     reference.go (config_describe.go) makes the pages of docs/, effective.go
//     (config_encode.go) writes a configuration as it is understood, and graph.go
//     draws it.
//   - runner.go opens the parts (parts.go, keystore.go, topics.go) and wires a
//     router handler for each pipeline (flow.go); until_end.go lets a run end by
//     itself. Package kafka reads, package ingest takes records in.
//   - decide.go says of one record, without any effect, what becomes of it;
//     transform.go makes the record that its sinks see, and decide_trace.go
//     tells the steps. Package preview shows them, without any effect.
//   - deliver.go takes a lane batch: lane.go picks runs for one sink, claim.go
//     and guard.go ask the key store and keep claims alive, write.go calls the
//     sink through its gate (gate.go, evidence.go, pause.go), absence.go sets aside
//     what waits for a part of a sink's system, and deadletter.go writes what can't
//     be delivered, as package letters has it; clock.go is the time that all of
//     them go by. Package scenario runs a configuration's tests (config_tests.go,
//     config_expect.go, plan_tests.go) on it, with another clock and sinks that
//     are not called.
//   - Package events is what happens, to records, pipelines and the process, for
//     metrics (meter.go), logs, status and tests; package secrets takes out of all of
//     it what nobody may see.
//
// What comes from outside is bounded: package memory counts its bytes, expression
// its steps (cost.go), files is the one reader of files that somebody named, listen
// bounds connections and knows by which names a listener is called, certificate
// reads TLS files again when they change, and kafka/embedded has a gate in front of
// the broker.
//
// Offsets are committed up to the lowest unfinished record and never beyond it:
// a key is claimed before the sink is called, confirmed only after the sink
// acknowledged, and the offset moves only after that.
package pipeline
