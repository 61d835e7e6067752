package embedded

import (
	"context"
	"net"
	"time"
)

// dialTime is how long a connection to the broker may take to come about.
const dialTime = 5 * time.Second

// DialContext connects a client of this process, which strangers take no place from:
// however many there are, its connections are kept.
func (b *Broker) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return b.gate.dial(ctx, network, address)
}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	from := raw.LocalAddr().String()
	g.own[from] = true
	for c := range g.conns { // it may have been let in already
		c.own = c.own || c.RemoteAddr().String() == from
	}
	return &ownConn{raw, g, from}, nil
}

// ownConn is the client's end of a connection of this process.
type ownConn struct {
	net.Conn
	gate *gate
	from string
}

// Close ends the connection; another client may have its address next.
func (c *ownConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.own, c.from)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
