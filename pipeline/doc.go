// Package pipeline is the process: a [Runner] opens what the pipelines of a plan share, and
// supervises a flow for each (supervisor.go, flow.go, routing.go), which can be started, stopped
// and replaced alone. until_end.go lets a run end by itself, status.go and meter.go say how it
// fares, waiting.go and watch_cluster.go what it waits for, missing_topic.go makes topics of
// templated names, and parts.go opens the state folder and the embedded broker. job.go does jobs, such as a replay,
// as flows of their own beside the live ones.
//
// The rooms below, in the order of a record's way; docs/architecture.md has the ideas and the
// arrows between them:
//
//   - config is the language, yamlconf its strict decoder, diag its problems; compile makes a plan
//     of it, with shape (schemas) and expression (the one language of expressions); survey
//     compares the plan with the world.
//   - kafka reads and writes, kafka/embedded is a broker in the process, ingest takes records over
//     HTTP, topics compares and makes topics.
//   - decide says what becomes of a record, deliver does it, outcome has the words for it, letters
//     is the durable form of what could not be delivered.
//   - idempotency guards effects by keys, in one of its stores; keys opens them.
//   - events is what happens, to records, pipelines and the process, for metrics, logs, status and
//     tests; api is what others see of the process, secrets what they never see; state is the folder
//     beside the configuration.
//   - preview (dry run, explain) and scenario (tests) decide and deliver without effects; jobs is
//     what a person has done beside the live groups: it counts, locks and keeps the progress of
//     replays and redrives, and finds the dead letters that are open; job.go and redrive.go do
//     them.
//
// What comes from outside is bounded: memory counts its bytes, expression its steps, oversize its
// records; files is the one reader of files that somebody named, listen bounds connections,
// certificate reads TLS files again when they change, and kafka/embedded has a gate in front of
// the broker.
//
// Offsets are committed up to the lowest unfinished record and never beyond it: a key is claimed
// before the sink is called, confirmed only after the sink acknowledged, and the offset moves only
// after that.
package pipeline
