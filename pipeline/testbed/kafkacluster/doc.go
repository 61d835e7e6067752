// Package kafkacluster starts Apache Kafka in KRaft mode, one node or several.
//
// It needs Java 17 or newer, and Maven until Kafka's jars are in the user's cache
// folder.
package kafkacluster
