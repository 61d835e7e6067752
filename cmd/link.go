package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

// link is publish's way to a topic. Where nothing runs and the command had to
// open the folder itself, it holds it only while there is something to send.
type link struct {
	app    *app
	topic  string
	create bool
	pid    int

	cluster   *cluster
	publisher *kafka.Publisher
}

// open connects and makes sure that the topic is there.
func (l *link) open(ctx context.Context) error {
	connect := l.app.connectToRead
	if l.create {
		connect = func(ctx context.Context, pid int) (*cluster, error) { return l.app.connect(ctx, pid, only("kafka")) }
	}
	c, err := connect(ctx, l.pid)
	if err != nil {
		return err
	}
	if err := c.ensureTopic(ctx, l.topic, l.create); err != nil {
		if errors.As(err, new(missingTopicError)) {
			err = fmt.Errorf("%w; --create makes it now", err)
		}
		return errors.Join(err, c.close())
	}
	log, err := l.app.clientLogger()
	if err != nil {
		return errors.Join(err, c.close())
	}
	l.publisher, err = kafka.NewPublisher(c.settings, kafka.Deps{Logger: log})
	if err != nil {
		return errors.Join(err, c.close())
	}
	l.cluster = c
	return nil
}

func (l *link) produce(ctx context.Context, records []*handlers.Record) error {
	if l.cluster == nil {
		if err := l.open(ctx); err != nil {
			return err
		}
	}
	return l.publisher.Produce(ctx, records)
}

// rest gives the folder back, if it is held, until the next produce.
func (l *link) rest() error {
	if l.cluster == nil || !l.cluster.own {
		return nil
	}
	return l.close()
}

func (l *link) close() error {
	if l.cluster == nil {
		return nil
	}
	err := errors.Join(l.publisher.Close(), l.cluster.close())
	l.cluster = nil
	return err
}
