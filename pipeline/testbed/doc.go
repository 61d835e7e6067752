// Package testbed starts the real components that tests run against: Apache
// Kafka in KRaft mode, one node or several, and redis-server.
//
// What is started listens on loopback only, keeps its data in a folder of its
// own, and ends with the process that started it, also when that process is
// killed (on Linux; elsewhere Close must be reached). Only what is started
// Detached, for work by hand, lives on; cmd/testbed does that.
//
// A test that needs a component of its own calls [NeedKafka] or [NeedRedis]. A
// package whose tests can share one holds a [Bed] in its TestMain. Both fail
// the test when the component can't be had: a test bed that is missing is not a
// reason to pass.
//
// Kafka needs Java 17 or newer, and Maven until its jars are in the user's
// cache folder; Redis needs redis-server 7 or newer. [NeedNode] runs a YAML
// language server and Mermaid's parser, with Node.js 18 or newer, and npm until
// its packages are in the cache folder.
package testbed
