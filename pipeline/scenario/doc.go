// Package scenario runs the tests of a configuration: each on the real decide and
// the real delivery, against a fresh key store in memory, a clock that passes
// only where everybody waits, and sinks that render as they do in a run and
// answer what the test says. Nothing leaves the process.
//
//   - scenario.go loads the configuration and runs its tests one after the other.
//   - rehearsal.go takes the records of one test through the pipeline, through a
//     crash and back; life.go is one life of its process, with sink.go and
//     store.go as all that it touches, and clock.go as its time.
//   - got.go collects what became of each record; compare.go, compare_value.go
//     and hint.go say where that differs from what is expected.
//   - report.go writes results as text, JSON or JUnit XML; diff.go shows two
//     values side by side.
package scenario
