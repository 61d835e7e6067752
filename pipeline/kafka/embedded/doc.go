// Package embedded runs a broker that speaks the Kafka protocol inside this
// process and keeps its log in a folder, so that there is one code path from a
// laptop to a cluster. It is for development, tests and small use on a single
// machine.
//
// What it promises: a record that it acknowledged, a topic that it made and an
// offset that a group committed survive the end of the process, however it
// ends. Topics are made explicitly only, nothing expires, and one process at a
// time may have the folder. On opening it reads the whole log, drops what is
// damaged and nothing else, never gives an offset out twice, and says what was
// lost.
//
// Its limits: it listens on loopback only and has no authentication, so whoever
// may log in to the machine may use it; it has one replica of everything; and
// since opening reads the whole log, in part into memory, the size of the log is
// bounded, and producers are refused beyond the bound. Space comes back by
// deleting topics.
//
// It is built on franz-go's kfake, a broker made for tests, which trusts its clients
// and ends the process on requests that it does not expect. So nothing reaches it
// that was not parsed and checked in front of it (gate.go). The format of kfake's
// files is known in files.go only, which holds for the version named in go.mod.
package embedded
