//go:build unix

package kafkacluster

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

// clusterID is the same for every cluster: they never meet.
const clusterID = "4L6g3nShT-eMCtK--X86sw"

// configure writes the node's server.properties.
func (n *Node) configure() error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(n.file("log4j2.yaml"), []byte(kafkaLog4j), 0o600); err != nil {
		return err
	}
	properties := n.properties()
	maps.Copy(properties, n.kafka.options.Security.properties())
	maps.Copy(properties, n.kafka.options.Properties)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", name, strings.ReplaceAll(properties[name], `\`, `\\`))
	}
	return os.WriteFile(n.file("server.properties"), []byte(text.String()), 0o600)
}

// properties are those of a node without security.
func (n *Node) properties() map[string]string {
	nodes := len(n.kafka.nodes)
	replicas := min(nodes, 3)
	insync := max(replicas-1, 1)
	var voters, listeners, advertised, protocols []string
	for _, peer := range n.kafka.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", peer.id, process.Loopback(peer.ports[controllerListener])))
	}
	for _, l := range slices.Sorted(maps.Keys(n.ports)) {
		at := fmt.Sprintf("%s://%s", l, process.Loopback(n.ports[l]))
		listeners = append(listeners, at)
		if l != controllerListener {
			advertised = append(advertised, at)
		}
		protocols = append(protocols, string(l)+":"+l.protocol())
	}
	return map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  fmt.Sprint(n.id),
		"controller.quorum.voters":                 strings.Join(voters, ","),
		"listeners":                                strings.Join(listeners, ","),
		"advertised.listeners":                     strings.Join(advertised, ","),
		"controller.listener.names":                string(controllerListener),
		"inter.broker.listener.name":               string(Plaintext),
		"listener.security.protocol.map":           strings.Join(protocols, ","),
		"log.dirs":                                 n.file("data"),
		"num.partitions":                           "3",
		"default.replication.factor":               fmt.Sprint(replicas),
		"min.insync.replicas":                      fmt.Sprint(insync),
		"offsets.topic.replication.factor":         fmt.Sprint(replicas),
		"offsets.topic.num.partitions":             "5",
		"transaction.state.log.replication.factor": fmt.Sprint(replicas),
		"transaction.state.log.num.partitions":     "5",
		"transaction.state.log.min.isr":            fmt.Sprint(insync),
		"group.initial.rebalance.delay.ms":         "0",
		"auto.create.topics.enable":                "false",
	}
}
