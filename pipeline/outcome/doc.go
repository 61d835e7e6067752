// Package outcome has the words for how a record ends, why, and where it failed: one for each
// thing, the same in metrics, traces, tests and every command.
package outcome
