// Package compile makes a plan of a configuration, or says all that is wrong with what it
// means, at once and each at its place. There is no network, and nothing is changed.
//
// load.go is the way in: [Load] for who runs the plan, [Validate] and [Mend] for the sake of
// the problems, [LoadPart] for who needs only some of it, [LoadEffective] for the
// configuration as it is understood. [Compile] goes through the blocks: kafka.go (also the
// key store), login.go, ingest.go and door.go, pipeline.go with sinks.go, text.go (every
// expression and template), payload.go (what schemas say of them) and url.go, tests.go. What
// must hold between blocks stands in check.go, loops.go, listen.go, names.go, scale.go and
// reach.go.
package compile
