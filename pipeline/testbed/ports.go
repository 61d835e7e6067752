//go:build unix

package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// Ports are taken below every system's range for outgoing connections, so that
// none of those takes one while its component is down.
const firstPort, lastPort = 20000, 29999

// ports are free ports on loopback, reserved among all processes that use the
// test bed on this machine until release, also while nothing listens on them.
type ports struct {
	numbers []int
	locks   []*os.File
}

func reservePorts(n int) (*ports, error) {
	p := &ports{}
	for tries := 0; len(p.numbers) < n; tries++ {
		if tries == 1000 {
			p.release()
			return nil, fmt.Errorf("no %d free ports from %d to %d", n, firstPort, lastPort)
		}
		if err := p.take(firstPort + rand.IntN(lastPort-firstPort+1)); err != nil {
			p.release()
			return nil, err
		}
	}
	return p, nil
}

// take adds a port if it is free; one that is not free is no error.
func (p *ports) take(port int) error {
	path, err := stateDir("ports", strconv.Itoa(port))
	if err != nil {
		return err
	}
	lock, err := lockNow(path)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	if portFree(port) != nil {
		return lock.Close()
	}
	p.numbers = append(p.numbers, port)
	p.locks = append(p.locks, lock)
	return nil
}

func (p *ports) release() {
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

// portFree tells whether a port can be bound now.
func portFree(port int) error {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	return l.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
