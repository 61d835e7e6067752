// Package handlers is the contract between Millrace and its sinks. It uses the
// standard library only, so that a sink depends on this package and on the
// client library of the system that it writes to, and on nothing else.
//
// A sink's life: its config struct is decoded and checked from YAML by the tags
// described at [Spec]; Open builds it without touching the network; Render turns
// one record into one request, in a dry run as in a real one; Write makes
// requests durable; Close ends it once no Write is running.
//
// # What a sink may rely on
//
//   - Render sees one record, in a [View]. What is null in a text is an error before
//     the sink sees it, and a part of a statement is a value, never text: see Parts.
//   - Write is handed calls that are in order, of one lane, no more than MaxBatch. Calls
//     of equal Order stand in one batch, or in a later one that comes only once those of
//     before are durable or dead-lettered; other lanes write meanwhile. A [Scoped] sink
//     has that within each part of its system.
//   - A call comes again, with the same bytes, ID and Order, for as long as its fate is
//     unknown or its system is away. Its ID is the same for every attempt and every
//     replay of one effect.
//   - The context of Write ends when a stop waits no longer, or when the call's key
//     went to another process: what is not durable by then is to be given up.
//   - A panic is an error without a class. Nobody waits for a Write that does not
//     return when its context ends, but for the drain.
//
// # What it owes
//
//   - nil only for what is durable, and of what failed what is known: a plain error
//     means that nothing is known, and that the system may be at fault. [Permanent] is
//     the record's fault, [Unavailable] the system's, and [Unreachable] that of a call
//     that was not sent, for which no key is held back. See [Failure].
//   - No secrets and no value of a record in an error: it goes into logs and dead
//     letters.
//   - Requests that do not change after Render, since a second attempt sends them again.
//   - What handlertest checks: run its suite in the sink's tests.
//
// # What it may offer
//
// Each is an interface or a function of its own: [Limiter] bounds a batch, and [Each]
// writes one call after the other; [Coalesce] puts together what lanes write at the
// same time; [Scoped] tells parts of a system that may be away on their own; [Prober]
// answers `validate --connect`; [Shower] is a request's line for people, and
// [Discloser] one that compares with its secrets; [Rehearser] lets `millrace test` make
// trouble; [Keeper] keeps its own keys. A call's Trace is to be handed on where the
// system carries one; Repeated says that the system knew the effect from before. A
// field of the type *[TLS] is a `tls:` block whose files are checked and read again.
package handlers
