//go:build unix

package kafkacluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

// Node is one node of a cluster, broker and controller. Its methods may be
// called from several goroutines at once.
type Node struct {
	kafka *Cluster
	id    int
	dir   string
	ports map[Listener]int

	mu    sync.Mutex
	child *process.Child // the last one that was launched; nil before
}

// ID is the node's id, as Kafka knows it.
func (n *Node) ID() int { return n.id }

// Addr is the host:port of the node's plain-text listener.
func (n *Node) Addr() string { return process.Loopback(n.ports[Plaintext]) }

// Start launches the node with the data it has and returns when it answers
// clients as a member of its cluster, which needs a majority of the nodes.
// Starting one that runs is an error.
func (n *Node) Start(ctx context.Context) error {
	if err := n.Launch(ctx); err != nil {
		return err
	}
	return n.await(ctx, 1)
}

// Launch is Start without the wait for the node to answer: for nodes that have
// lost their majority and must come back together.
func (n *Node) Launch(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.child != nil && !n.child.Ended() {
		return fmt.Errorf("start node %d: it runs", n.id)
	}
	if err := n.format(ctx); err != nil {
		return fmt.Errorf("format node %d: %w", n.id, err)
	}
	c, err := process.Launch(n.dir, n.kafka.options.Detached, n.command())
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.id, err)
	}
	n.child = c
	return nil
}

// command is the node's own, with its output in its log.
func (n *Node) command() *exec.Cmd {
	heap := n.kafka.options.Heap
	cmd := exec.Command("java", n.kafka.javaArgs("-Xms"+heap, "-Xmx"+heap, "-XX:+UseG1GC",
		"-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", n.file("server.properties"))...)
	cmd.Dir = n.dir
	return cmd
}

// await waits until the node answers and knows of at least so many brokers,
// itself among them.
func (n *Node) await(ctx context.Context, brokers int) error {
	n.mu.Lock()
	c := n.child
	n.mu.Unlock()
	err := c.Await(ctx, process.StartLimit, func(ctx context.Context) error {
		ids, err := brokerIDs(ctx, n.Addr())
		switch {
		case err != nil:
			return err
		case len(ids) < brokers || !slices.Contains(ids, n.id):
			return fmt.Errorf("it knows the brokers %v only", ids)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("node %d: %w\n%s", n.id, err, n.Log(30))
	}
	return nil
}

// Kill ends the node with SIGKILL and waits until it is gone. Killing one that
// does not run is no error.
func (n *Node) Kill() error {
	c := n.running()
	if c == nil {
		return nil
	}
	return n.wrap(c.Kill())
}

// Running tells whether the node's process is there, paused or not.
func (n *Node) Running() bool { return n.running() != nil }

// running is the node's process, nil where there is none.
func (n *Node) running() *process.Child {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.child == nil || n.child.Ended() {
		return nil
	}
	return n.child
}

// Log returns the last lines of what the node printed, at most so many.
func (n *Node) Log(lines int) string { return process.LogTail(n.dir, lines) }

func (n *Node) file(name string) string { return filepath.Join(n.dir, name) }

func (n *Node) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node %d: %w", n.id, err)
}

// format prepares the node's folder where it is new.
func (n *Node) format(ctx context.Context) error {
	if _, err := os.Stat(n.file("data/meta.properties")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// KRaft makes the users of SCRAM together with the cluster.
	args := append([]string{"kafka.tools.StorageTool", "format", "-t", clusterID,
		"-c", n.file("server.properties"), "--ignore-formatted"}, n.kafka.options.Security.scramUsers()...)
	out, err := process.Run(exec.CommandContext(ctx, "java", n.kafka.javaArgs(append(toolFlags(), args...)...)...))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, process.LastLines([]byte(out), 20))
	}
	return nil
}
