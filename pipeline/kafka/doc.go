// Package kafka is the only one that knows Kafka's client libraries: franz-go reads and
// looks after the cluster, sarama writes, through Watermill's publisher. A [Subscriber]
// hands out lane batches as Watermill messages, a [Publisher] writes records, a [Reader]
// reads a topic for a command, and an [Admin] asks and changes the cluster.
//
//   - reading: subscriber.go, consumer.go (one subscription's poll loop), assign.go (what a
//     rebalance gives and takes), place.go and start.go (where a partition begins, and what
//     stands beside a commit), feed.go and intake.go (fetched bytes and their memory),
//     unpack.go, pieces.go and pieces_record.go (batches that are large once they are
//     decompressed), partition.go, lanes.go and batch.go (from records to lane batches),
//     commit.go (the finished prefix, and its commit), aside.go (records that wait for a
//     part of a sink's system), trouble.go, examine.go and lookout.go (what can't be read)
//   - writing: publisher.go, produce.go, odd.go (times that sarama can't write), classify.go
//     (what errors mean)
//   - the cluster: settings.go, client.go, connect.go (TLS and logins), admin.go, inspect.go,
//     measure.go (lag), reader.go
package kafka
