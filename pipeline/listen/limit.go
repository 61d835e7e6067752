// Package listen holds what the HTTP listeners of the process share: how many
// clients may be connected, by which names they call, and what becomes of faults.
package listen

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Limit is a listener with a bound on open connections. Where there are as many,
// the one that has been waiting for a request for longest makes room for a new
// one, but none of which a request has come already; where none does, new ones wait
// until one ends. One address other than this
// machine's own gets no more than half. The server must have ConnState.
type Limit struct {
	net.Listener
	most int

	mu      sync.Mutex
	room    sync.Cond
	open    int
	of      map[netip.Prefix]int
	waiting list.List // of *conn
	closed  bool
}

// NewLimit bounds listener to most connections, and to less where that would take
// more than half of the file descriptors that the process may have.
func NewLimit(listener net.Listener, most int) *Limit {
	l := &Limit{Listener: listener, most: max(1, min(most, descriptors()/2)), of: map[netip.Prefix]int{}}
	l.room.L = &l.mu
	return l
}

// Accept waits for a connection, and until there is room for it.
func (l *Limit) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(raw); c != nil {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit counts a connection once there is room, nil where its address has too many.
func (l *Limit) admit(raw net.Conn) *conn {
	from := origin(raw)
	l.mu.Lock()
	if from.IsValid() && l.of[from] >= max(1, l.most/2) {
		l.mu.Unlock()
		return nil
	}
	longest := l.idlest()
	for l.open >= l.most && longest == nil && !l.closed {
		l.room.Wait()
		longest = l.idlest()
	}
	if longest != nil {
		longest.leave()
	}
	l.open++
	l.of[from]++
	l.mu.Unlock()
	if longest != nil {
		_ = longest.Close()
	}
	return &conn{Conn: raw, limit: l, from: from}
}

// idlest is the connection that makes room for a new one, nil where none has to or can.
func (l *Limit) idlest() *conn {
	if l.open < l.most {
		return nil
	}
	for at := l.waiting.Front(); at != nil; at = at.Next() {
		// The server may not have got round to reading a request that has come.
		if c := at.Value.(*conn); !unread(c.Conn) {
			return c
		}
	}
	return nil
}

// origin is what is counted as one client: an address, or a network of IPv6. It
// is not valid for this machine's own, where all look the same.
func origin(c net.Conn) netip.Prefix {
	address, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || address.Addr().Unmap().IsLoopback() {
		return netip.Prefix{}
	}
	ip, bits := address.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// ConnState is the server's ConnState: it tells which connections wait.
func (l *Limit) ConnState(c net.Conn, state http.ConnState) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own, ok := c.(*conn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own.leave()
	if (state == http.StateNew || state == http.StateIdle) && !own.ended {
		own.place = l.waiting.PushBack(own)
		l.room.Signal()
	}
}

// Close ends the listener, and a wait for room.
func (l *Limit) Close() error {
	l.mu.Lock()
	l.closed = true
	l.room.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

type conn struct {
	net.Conn
	limit *Limit
	from  netip.Prefix
	// The limit's lock guards place, in the list of those that wait, and ended.
	place *list.Element
	ended bool
}

// leave takes the connection out of those that wait.
func (c *conn) leave() {
	if c.place != nil {
		c.limit.waiting.Remove(c.place)
		c.place = nil
	}
}

// Close closes the connection and makes room.
func (c *conn) Close() error {
	l := c.limit
	l.mu.Lock()
	if !c.ended {
		c.ended = true
		c.leave()
		l.open--
		if l.of[c.from]--; l.of[c.from] == 0 {
			delete(l.of, c.from)
		}
		l.room.Signal()
	}
	l.mu.Unlock()
	return c.Conn.Close()
}
