package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listenKey is the configuration's key of the address, for errors to name.
const listenKey = "kafka.embedded.listen"

// CheckListen tells why Open would refuse to listen on address, whatever the
// machine; nil where it would not. Its error begins with the configuration's key.
func CheckListen(address string) error {
	_, err := loopback(address)
	return err
}

// loopback checks that address reaches this machine only and returns it with a
// literal host.
func loopback(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%s: %q is no host:port, as 127.0.0.1:9092", listenKey, address)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("%s: %q is not a loopback address: the embedded broker has no authentication, so it serves "+
			"this machine only, as on 127.0.0.1:9092; use a Kafka cluster, `kafka.brokers`, to be reached from elsewhere", listenKey, address)
	}
	return net.JoinHostPort(host, port), nil
}

func listenOn(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the embedded broker can't listen on %s: another process has the port: change %s (port 0 picks a free one): %w",
			address, listenKey, err)
	default:
		return nil, fmt.Errorf("the embedded broker can't listen on %s: check %s: %w", address, listenKey, err)
	}
}

// framedListener keeps from kfake what is no Kafka request: it would allocate
// whatever length stands there, and an unknown request ends the process.
type framedListener struct {
	net.Listener
	// produced is told the size of every produce request before it is read.
	produced func(bytes int64)
}

// Accept waits for the next client.
func (l *framedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: conn, produced: l.produced}, nil
}

// maxFrame is what Apache Kafka takes by default (socket.request.max.bytes).
const maxFrame = 100 << 20

// headSize is the length, the request's key and its version.
const headSize = 4 + 2 + 2

var errNoKafka = errors.New("not a Kafka request")

// framedConn looks at the head of every request. One goroutine at a time reads
// from it.
type framedConn struct {
	net.Conn
	produced func(bytes int64)

	head    [headSize]byte
	pending []byte
	rest    int64
}

// Read returns bytes of one request at a time.
func (c *framedConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 && c.rest == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	if int64(len(p)) > c.rest {
		p = p[:c.rest]
	}
	n, err := c.Conn.Read(p)
	c.rest -= int64(n)
	return n, err
}

func (c *framedConn) next() error {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(c.head[:4]))
	key := int16(binary.BigEndian.Uint16(c.head[4:6]))
	if size < headSize || size > maxFrame || kmsg.RequestForKey(key) == nil {
		return errNoKafka
	}
	if kmsg.Key(key) == kmsg.Produce {
		c.produced(size)
	}
	c.pending = c.head[:]
	c.rest = size - (headSize - 4)
	return nil
}
