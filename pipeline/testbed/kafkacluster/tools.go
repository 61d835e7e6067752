//go:build unix

package kafkacluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

// Tool is the class of one of Apache Kafka's own command-line tools.
type Tool string

// The tools, named as their scripts are: kafka-topics and so on.
const (
	Topics           Tool = "org.apache.kafka.tools.TopicCommand"
	ConsumerGroups   Tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	Configs          Tool = "kafka.admin.ConfigCommand"
	Reassign         Tool = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
	LeaderElection   Tool = "org.apache.kafka.tools.LeaderElectionCommand"
	DeleteRecords    Tool = "org.apache.kafka.tools.DeleteRecordsCommand"
	ConsoleProducer  Tool = "org.apache.kafka.tools.ConsoleProducer"
	ConsoleConsumer  Tool = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	PerfProducer     Tool = "org.apache.kafka.tools.ProducerPerformance"
	PerfConsumer     Tool = "org.apache.kafka.tools.ConsumerPerformance"
	TransactionsTool Tool = "org.apache.kafka.tools.TransactionsCommand"
)

// Run runs one of Kafka's tools against the cluster's plain-text listeners and
// returns what it printed on stdout. It takes a second or two, most of it
// Java's start. A tool that fails is an error that holds all it printed.
func (k *Cluster) Run(ctx context.Context, tool Tool, args ...string) (string, error) {
	return k.RunWith(ctx, "", tool, args...)
}

// RunWith is Run with a text on the tool's stdin.
func (k *Cluster) RunWith(ctx context.Context, stdin string, tool Tool, args ...string) (string, error) {
	all := append(toolFlags(), string(tool))
	brokers := strings.Join(k.Brokers(), ",")
	if tool == PerfProducer {
		args = append(args, "--producer-props", "bootstrap.servers="+brokers)
	} else {
		args = append([]string{"--bootstrap-server", brokers}, args...)
	}
	cmd := exec.CommandContext(ctx, "java", k.javaArgs(append(all, args...)...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := process.Run(cmd)
	if err != nil {
		return out, fmt.Errorf("run %s %s: %w", tool, strings.Join(args, " "), err)
	}
	return out, nil
}

// toolFlags make Java start fast and stay small.
func toolFlags() []string {
	return []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

// javaArgs put Kafka's jars and log settings before Java's other arguments.
func (k *Cluster) javaArgs(args ...string) []string {
	log4j := filepath.Join(k.options.Dir, "node1", "log4j2.yaml")
	flags := []string{"-Dlog4j2.configurationFile=" + log4j, "-cp", filepath.Join(k.jars, "*")}
	return append(flags, args...)
}
