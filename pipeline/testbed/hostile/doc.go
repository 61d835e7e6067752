// Package hostile has what clients do that want to do harm. To a broker: batches that
// are not what they say, packets that ended one once, random requests, and requests
// that ask for as much as there is. To ingest: bodies that cost much to check. Tests
// send them and look at how everybody else fares.
package hostile
