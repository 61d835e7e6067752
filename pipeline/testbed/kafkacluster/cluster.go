//go:build unix

package kafkacluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

// Options say what cluster to start. The zero value is one node with a
// plain-text listener, free ports and a temporary folder.
type Options struct {
	// Nodes is how many there are, each broker and controller; 0 means one.
	// Replication is 3, or Nodes where that is less, and min.insync.replicas
	// one less than the replication, at least one.
	Nodes int
	// Properties are put into each node's server.properties, in place of what
	// the test bed itself writes there under the same name.
	Properties map[string]string
	// Heap is the size of each node's heap, as Java writes it; "" means 384m.
	Heap string
	// Dir holds the nodes' data and logs, and a cluster that was there before
	// goes on with its data. "" means a temporary folder that Close removes.
	Dir string
	// Port is that of the first node's plain-text listener, where every
	// listener after it takes the next one; 0 means free ports.
	Port int
	// Security adds listeners with TLS and SASL; nil adds none.
	Security *Security
	// Detached lets the nodes live on when this process ends; [process.End] ends them.
	// It needs Dir.
	Detached bool
}

// Cluster is a running cluster of Apache Kafka. Its methods may be called from
// several goroutines at once.
type Cluster struct {
	options Options
	jars    string
	nodes   []*Node
	ports   *process.Ports
	temp    bool
	closing sync.Once
	err     error
}

// Start fetches Kafka where needed, starts a cluster and returns when each
// node answers clients and knows all the others. Ctx bounds the start only. The
// caller must Close what it got.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	k, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	return k, nil
}

func start(ctx context.Context, options Options) (*Cluster, error) {
	options.Nodes = max(options.Nodes, 1)
	options.Properties = maps.Clone(options.Properties)
	if options.Heap == "" {
		options.Heap = "384m"
	}
	if options.Detached && options.Dir == "" {
		return nil, errors.New("a detached cluster needs a folder")
	}
	jars, err := Fetch(ctx)
	if err != nil {
		return nil, err
	}
	k := &Cluster{options: options, jars: jars}
	if err := k.prepare(); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	if err := k.startNodes(ctx); err != nil {
		k.options.Detached = false
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// prepare makes folder, ports and configuration; nothing runs yet.
func (k *Cluster) prepare() error {
	if k.options.Dir == "" {
		dir, err := os.MkdirTemp("", "millrace-kafka-")
		if err != nil {
			return err
		}
		k.options.Dir, k.temp = dir, true
	}
	dir, err := filepath.Abs(k.options.Dir)
	if err != nil {
		return err
	}
	k.options.Dir = dir
	listeners := k.options.Security.listeners()
	if err := k.choosePorts(k.options.Nodes * (len(listeners) + 1)); err != nil {
		return err
	}
	next := 0
	for id := 1; id <= k.options.Nodes; id++ {
		node := &Node{kafka: k, id: id, dir: filepath.Join(dir, fmt.Sprintf("node%d", id)), ports: map[Listener]int{}}
		for _, l := range listeners {
			node.ports[l] = k.ports.Numbers[next]
			next++
		}
		node.ports[controllerListener] = k.ports.Numbers[next]
		next++
		k.nodes = append(k.nodes, node)
	}
	for _, node := range k.nodes {
		if err := node.configure(); err != nil {
			return err
		}
	}
	return nil
}

func (k *Cluster) choosePorts(n int) (err error) {
	if k.options.Port == 0 {
		k.ports, err = process.ReservePorts(n)
		return err
	}
	k.ports = &process.Ports{}
	for i := range n {
		if err := process.PortFree(k.options.Port + i); err != nil {
			return err
		}
		k.ports.Numbers = append(k.ports.Numbers, k.options.Port+i)
	}
	return nil
}

// startNodes starts all nodes side by side, since none is ready without a
// majority of them.
func (k *Cluster) startNodes(ctx context.Context) error {
	errs := make([]error, len(k.nodes))
	var all sync.WaitGroup
	for i, node := range k.nodes {
		all.Go(func() {
			if errs[i] = node.Start(ctx); errs[i] == nil {
				errs[i] = node.await(ctx, len(k.nodes))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Brokers returns the host:port of each node's plain-text listener, whether
// the node runs or not.
func (k *Cluster) Brokers() []string { return k.Addresses(Plaintext) }

// Addresses returns the host:port of one listener of each node; none where
// the cluster does not have that listener.
func (k *Cluster) Addresses(l Listener) []string {
	var all []string
	for _, node := range k.nodes {
		if port, ok := node.ports[l]; ok {
			all = append(all, process.Loopback(port))
		}
	}
	return all
}

// Node returns a node by its id; the first is 1. There must be one.
func (k *Cluster) Node(id int) *Node { return k.nodes[id-1] }

// Nodes returns all nodes, in the order of their ids.
func (k *Cluster) Nodes() []*Node { return append([]*Node(nil), k.nodes...) }

// Close kills the nodes, waits until they are gone, and removes what is
// temporary. It may be called several times. A detached cluster is left
// running once it was started.
func (k *Cluster) Close() error {
	k.closing.Do(func() {
		var errs []error
		for _, node := range k.nodes {
			if !k.options.Detached {
				errs = append(errs, node.Kill())
			}
		}
		if k.ports != nil {
			k.ports.Release()
		}
		if k.temp {
			errs = append(errs, os.RemoveAll(k.options.Dir))
		}
		k.err = errors.Join(errs...)
	})
	return k.err
}
