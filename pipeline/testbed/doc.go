// Package testbed shares, among the tests of a package, the real components that
// they run against.
//
// The components are in packages of their own: kafkacluster starts Apache Kafka in
// KRaft mode, one node or several, redisserver starts redis-server, nodejs runs a YAML
// language server and Mermaid's parser, certificates makes keys for TLS, and process
// holds what starting any of them takes.
//
// What is started listens on loopback only, keeps its data in a folder of its
// own, and ends with the process that started it, also when that process is
// killed (on Linux; elsewhere Close must be reached). Only what is started
// Detached, for work by hand, lives on; cmd/testbed does that.
//
// A test that needs a component of its own calls its package's Need. A package
// whose tests can share one holds a [Bed] in its TestMain. Both fail the test when
// the component can't be had: a test bed that is missing is not a reason to pass.
package testbed
