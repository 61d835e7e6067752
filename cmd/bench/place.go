package main

import (
	"context"
	"errors"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// source is the topic that every variant reads.
const source = "millrace-bench-in"

// place is where the variants are measured.
type place struct {
	// cluster asks for an Apache Kafka and a Redis of its own.
	cluster       bool
	broker, redis string
	name          string
}

// open starts what is missing and returns what ends it.
func (p *place) open(ctx context.Context, binary, dir string) (end func() error, err error) {
	switch {
	case p.broker != "":
		if p.redis == "" {
			return nil, errors.New("-brokers wants -redis as well")
		}
		p.name = "Kafka at " + p.broker
		return func() error { return nil }, nil
	case p.cluster:
		return p.startCluster(ctx)
	default:
		broker, err := startBroker(ctx, binary, dir)
		if err != nil {
			return nil, err
		}
		p.broker, p.name = broker.addr, "the embedded broker"
		return broker.stop, nil
	}
}

func (p *place) startCluster(ctx context.Context) (end func() error, err error) {
	k, err := kafkacluster.Start(ctx, kafkacluster.Options{Heap: "1g"})
	if err != nil {
		return nil, err
	}
	r, err := redisserver.Start(ctx, redisserver.Options{AppendFsync: "everysec"})
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	p.broker, p.redis, p.name = k.Brokers()[0], r.URL(), "Apache Kafka, one node, and Redis with appendfsync everysec"
	return func() error { return errors.Join(r.Close(), k.Close()) }, nil
}
