// Package kafka is the only one that knows Kafka's client libraries. A
// [Subscriber] reads with franz-go and hands out lane batches as Watermill
// messages; a [Publisher] writes with watermill-kafka's publisher; [Admin] and
// [Reader] look at a cluster. One builder, in client.go, turns the `kafka:` block
// into the settings of both libraries.
//
// A record's way through the Subscriber: poll (consumer.go) → lane (lanes.go) →
// handler, which calls [Batch.Done] → finished prefix (tracker.go) → commit
// (commit.go). Partitions come and go in assign.go, but not because a broker
// does: patience.go. What is fetched takes memory first: intake.go, and feed.go for
// who finds none. oversize.go says what of a record is too large to be held, and
// examine.go finds what of a batch can't be read. place.go decides where each begins,
// start.go what `start` means, and trouble.go what is done where the log no longer has
// what was to be read.
package kafka
