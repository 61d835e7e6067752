package embedded

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// gateConn is a client's connection as kfake sees it. kfake reads from it with one
// goroutine at a time and writes each answer at once.
type gateConn struct {
	net.Conn
	gate *gate
	// own tells that it is this process's; the gate's mu guards it.
	own bool

	// pending is what kfake has not read yet of the request that was let through.
	pending []byte
	// turn is free while no request waits for its answer.
	turn   chan struct{}
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	asked *request // nil where none waits for its answer
	since time.Time
}

// Read returns bytes of requests that were let through.
func (c *gateConn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.pending)
	if c.pending = c.pending[n:]; len(c.pending) == 0 {
		c.pending = nil
	}
	return n, nil
}

// next reads a request and lets it through or answers it, once the one before it is
// answered: a client that went away while it waits is seen meanwhile.
func (c *gateConn) next() error {
	var held holding
	passed := false
	defer func() {
		if !passed {
			held.giveBack()
		}
	}()
	frame, err := c.frame(&held)
	if err != nil {
		return err
	}
	req, err := c.gate.parse(frame)
	if err != nil {
		c.gate.log.Debug("the embedded broker cut a client off", "client", c.RemoteAddr().String(), "err", err)
		return err
	}
	select {
	case <-c.turn:
	case <-c.closed:
		return net.ErrClosed
	}
	answer, err := c.gate.inspect(req)
	if err != nil {
		c.gate.log.Debug("the embedded broker cut a client off", "client", c.RemoteAddr().String(), "request",
			req.key.Name(), "err", err)
		return err
	}
	if answer != nil {
		defer c.settle()
		return c.send(encodeAnswer(answer, req.corr))
	}
	passed = true
	c.pending, req.raw, req.head, req.held = req.raw, nil, nil, held
	c.mu.Lock()
	c.asked, c.since = req, time.Now()
	c.mu.Unlock()
	if req.silent {
		c.settle()
	}
	return nil
}

// holding is what a request has of the account.
type holding []func()

func (h holding) giveBack() {
	for _, give := range h {
		give()
	}
}

// headSize is the length, the request's key and its version.
const headSize = 4 + 2 + 2

// frame reads one request. The first bytes may take as long as a client may be idle,
// or wait for an answer; the rest has to come at once.
func (c *gateConn) frame(held *holding) ([]byte, error) {
	var head [headSize]byte
	if err := c.first(head[:1]); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(frameTime)
	if err := c.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.Conn, head[1:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	key := kmsg.Key(binary.BigEndian.Uint16(head[4:]))
	if _, ok := c.gate.served[key]; !ok || size < headSize || size > c.gate.mostBytes(key) {
		return nil, errNoKafka
	}
	frame := append(make([]byte, 0, min(size+4, freeFrame)), head[:]...)
	for int64(len(frame)) < size+4 {
		// It grows with what has come, whatever the length says.
		step := int(min(size+4-int64(len(frame)), int64(max(len(frame), freeFrame))))
		if len(frame)+step > freeFrame && !c.hold(held, 2*int64(step), deadline) {
			return nil, errors.New("no memory for a large request")
		}
		at := len(frame)
		frame = slices.Grow(frame, step)[:at+step]
		if _, err := io.ReadFull(c.Conn, frame[at:]); err != nil {
			return nil, err
		}
	}
	return frame, nil
}

func (c *gateConn) first(p []byte) error {
	for {
		if err := c.SetReadDeadline(time.Now().Add(c.gate.idle)); err != nil {
			return err
		}
		_, err := io.ReadFull(c.Conn, p)
		if errors.Is(err, os.ErrDeadlineExceeded) && c.waits() {
			continue
		}
		return err
	}
}

// waits tells whether a request waits for its answer.
func (c *gateConn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked != nil
}

// hold takes bytes for a request from the account.
func (c *gateConn) hold(held *holding, n int64, deadline time.Time) bool {
	for {
		if give, ok := c.gate.frames.TryTake(n); ok {
			*held = append(*held, give)
			return true
		}
		select {
		case <-c.closed:
			return false
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(deadline) {
				return false
			}
		}
	}
}

// Write sends an answer of kfake's.
func (c *gateConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	req := c.asked
	c.mu.Unlock()
	if req == nil {
		return 0, net.ErrClosed
	}
	if err := c.send(c.gate.outgoing(req, p)); err != nil {
		return 0, err
	}
	c.settle()
	return len(p), nil
}

func (c *gateConn) send(p []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	_, err := c.Conn.Write(p)
	return err
}

// settle notes that the request is answered, and lets the next one through.
func (c *gateConn) settle() {
	c.mu.Lock()
	if c.asked != nil {
		c.asked.held.giveBack()
	}
	c.asked, c.since = nil, time.Now()
	c.mu.Unlock()
	select {
	case c.turn <- struct{}{}:
	default:
	}
}

// Close ends the connection. Whoever waited on it for a group leaves the group.
func (c *gateConn) Close() error {
	var err error
	c.once.Do(func() {
		c.mu.Lock()
		close(c.closed)
		var w waiting
		if c.asked != nil {
			w = c.asked.wait
		}
		c.mu.Unlock()
		c.gate.gone(c, w)
		err = c.Conn.Close()
		c.settle()
	})
	return err
}

// idler tells whether c is rather to be closed than other.
func (c *gateConn) idler(other *gateConn) bool {
	mine, since := c.state()
	theirs, others := other.state()
	if mine != theirs {
		return !mine
	}
	return since.Before(others)
}

func (c *gateConn) state() (waits bool, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked != nil, c.since
}

// encodeAnswer is a response as it goes over the wire.
func encodeAnswer(answer kmsg.Response, corr int32) []byte {
	out := make([]byte, 8, 64)
	if answer.IsFlexible() && answer.Key() != int16(kmsg.ApiVersions) {
		out = append(out, 0) // no tags
	}
	out = answer.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	binary.BigEndian.PutUint32(out[4:], uint32(corr))
	return out
}
