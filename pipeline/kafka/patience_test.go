package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// door is a listener that can be shut for a while, with all that came through.
type door struct {
	address string

	mu    sync.Mutex
	inner net.Listener // nil while it is shut
	conns []net.Conn
	moved *sync.Cond
	ended bool
}

func (d *door) listen(_, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	d.inner, d.address, d.moved = l, l.Addr().String(), sync.NewCond(&d.mu)
	return d, nil
}

func (d *door) Accept() (net.Conn, error) {
	for {
		d.mu.Lock()
		for d.inner == nil && !d.ended {
			d.moved.Wait()
		}
		inner := d.inner
		d.mu.Unlock()
		if inner == nil {
			return nil, net.ErrClosed
		}
		if conn, err := inner.Accept(); err == nil {
			d.mu.Lock()
			d.conns = append(d.conns, conn)
			d.mu.Unlock()
			return conn, nil
		}
	}
}

func (d *door) Addr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", d.address)
	return addr
}

func (d *door) Close() error {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.shut()
	return nil
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inner != nil {
		d.inner.Close()
		d.inner = nil
	}
	for _, conn := range d.conns {
		conn.Close()
	}
	d.conns = nil
	d.moved.Broadcast()
}

func (d *door) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inner = l
	d.moved.Broadcast()
}

// A member that finds no broker for less than its session goes on where it was:
// what it had finished and not committed does not come again.
func TestSessionOutlivesRefusedConnections(t *testing.T) {
	t.Parallel()
	var d door
	b := newBed(t, kfake.ListenFn(d.listen))
	b.topic("orders", 2)
	source := b.source("orders")
	source.CommitInterval = time.Hour
	source.SessionTimeout = 9 * time.Second
	s := b.subscriber(source)
	r := b.read(s, nil)
	b.write(numbered("orders", 0, 0, 10)...)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	before := s.consumers[0].partition("orders", 0)
	d.shut()
	// A heartbeat, due every three seconds, meets nobody, several times.
	select {
	case <-before.given:
		t.Fatal("the partition was given up")
	case <-time.After(5 * time.Second):
	}
	d.open(t)
	b.eventually("the test's own client is back", func() bool {
		_, err := fetchOffsets(t.Context(), b.admin, "g-orders")
		return err == nil
	})
	b.write(numbered("orders", 0, 10, 10)...)
	b.eventually("10 more records", func() bool { return r.count() >= 20 })
	if s.consumers[0].partition("orders", 0) != before {
		t.Error("the partition was given up and assigned again")
	}
	r.close(t)
	if n := r.count(); n != 20 {
		t.Errorf("%d records were read, want 20", n)
	}
	if got := b.committed("g-orders", "orders", 0); got != 20 {
		t.Errorf("committed %d, want 20", got)
	}
}

// A session that the group has ended is lost all the same: what was finished and
// not committed comes again, and how much that is, is said.
func TestLostSessionTellsWhatComesAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.topic("orders", 1)
	b.write(numbered("orders", 0, 0, 10)...)
	source := b.source("orders")
	source.CommitInterval = time.Hour
	source.SessionTimeout = 6 * time.Second
	var logged log
	s, err := NewSubscriber(b.settings, source, logged.deps())
	if err != nil {
		t.Fatal(err)
	}
	r := b.read(s, nil)
	b.eventually("10 records", func() bool { return r.count() == 10 })
	b.cluster.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.IllegalGeneration.Code
		return resp, nil, true
	})
	b.eventually("the same records again", func() bool { return r.count() == 20 })
	r.close(t)
	if !logged.says("could not be committed: they come again\" group=g-orders records=10") {
		t.Error("nothing tells that 10 records come again")
	}
	if got := b.committed("g-orders", "orders", 0); got != 10 {
		t.Errorf("committed %d, want 10", got)
	}
}

func TestRefusedConnectionIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	dial := patient((&net.Dialer{}).DialContext)
	_, err = dial(t.Context(), "tcp", l.Addr().String())
	if !errors.Is(err, syscall.ECONNREFUSED) || !kgo.IsRetryableBrokerErr(err) {
		t.Errorf("refused: %v, to be tried again: %v", err, kgo.IsRetryableBrokerErr(err))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = dial(ended, "tcp", l.Addr().String()); kgo.IsRetryableBrokerErr(err) {
		t.Errorf("a dial that was called off is tried again: %v", err)
	}
}
