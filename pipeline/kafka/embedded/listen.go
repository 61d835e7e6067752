package embedded

import (
	"context"
	"errors"
	"fmt"
	"github.com/millrace/millrace/pipeline/listen"
	"net"
	"syscall"
	"time"
)

func listenOn(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil,
			fmt.Errorf("the embedded broker can't listen on %s: another process has the port: change %s (port 0 "+
				"picks a free one): %w",
				address, listen.ListenKey, err)
	default:
		return nil, fmt.Errorf("the embedded broker can't listen on %s: check %s: %w", address, listen.ListenKey, err)
	}
}

// gateListener hands out connections behind the gate.
type gateListener struct {
	net.Listener
	gate *gate
}

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Accept waits for the next client. kfake listens no more after an error, so only
// the listener's end is one: what else fails, such as descriptors that are used up,
// is over sooner or later.
func (l *gateListener) Accept() (net.Conn, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.gate.admit(conn), nil
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case pause == firstPause:
			l.gate.log.Warn("the embedded broker takes no connections for now, and tries on", "err", err)
		}
		time.Sleep(pause)
	}
}
