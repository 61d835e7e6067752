package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
)

// bootstrap is the dialer of the writing library. That library picks one of the
// addresses that it is given, at random, and asks no other until it knows the
// cluster: with one broker of three down, every third producer could not begin.
// So it is given one address that stands for all of them.
type bootstrap struct {
	address string
	brokers []string
	dialer  Dialer
	// next is where the next connection begins to try, so that a broker which
	// takes connections and says nothing is not asked twice in a row.
	next atomic.Uint32
}

// bootstrapAddress stands for all addresses of the cluster. It can't be that of a
// broker.
func (c cluster) bootstrapAddress() string { return "bootstrap:" + strings.Join(c.brokers, ",") }

func newBootstrap(c cluster) *bootstrap {
	b := &bootstrap{address: c.bootstrapAddress(), brokers: c.brokers, dialer: c.dialer}
	if b.dialer == nil {
		b.dialer = &net.Dialer{Timeout: dialTimeout}
	}
	return b
}

// Dial connects to a broker, or to the first of all that answers.
func (b *bootstrap) Dial(network, address string) (net.Conn, error) {
	if address != b.address {
		return b.dialer.DialContext(context.Background(), network, address)
	}
	var failed []error
	from := int(b.next.Add(1))
	for i := range b.brokers {
		conn, err := b.dialer.DialContext(context.Background(), network, b.brokers[(from+i)%len(b.brokers)])
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// reachable tells whether any broker takes connections: a producer of the library
// that can't begin is never freed.
func (c cluster) reachable() error {
	conn, err := newBootstrap(c).Dial("tcp", c.bootstrapAddress())
	if err != nil {
		return err
	}
	return conn.Close()
}
