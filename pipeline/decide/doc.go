// Package decide says of one record what becomes of it: decode, filter, key, transform, route,
// render. It is pure, and its imports keep it so: the same record and plan make the same
// [Decision] everywhere, so that what a dry run shows is what a run does.
//
// verdict.go is the one table of what a key store's answer means, trace.go tells the steps of
// a decision, and transform.go makes the record that sinks see.
package decide
