//go:build unix

package listen_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/listen"
)

// A connection of which a request has come makes no room, though the server has not
// read it yet: the next idle one does.
func TestARequestThatHasComeKeepsItsPlace(t *testing.T) {
	under := listener(t)
	limit := listen.NewLimit(under, 3)
	defer limit.Close()
	address := under.Addr().String()
	accept := func() net.Conn {
		c, err := limit.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		limit.ConnState(c, http.StateNew)
		t.Cleanup(func() { c.Close() })
		return c
	}
	asks := dial(t, address, "GET / HTTP/1.1\r\n")
	accept()
	idle := dial(t, address, "")
	accept()
	dial(t, address, "")
	accept()
	dial(t, address, "")
	accept()
	_ = idle.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle one: %v", err)
	}
	_ = asks.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := asks.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("the one that asks: %v", err)
	}
}
