//go:build unix

package process

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

// Ports are free ports on Loopback, reserved among all processes that use the
// test bed on this machine until release, also while nothing listens on them.
type Ports struct {
	Numbers []int
	locks   []*os.File
}

// ReservePorts takes n free ports.
func ReservePorts(n int) (*Ports, error) {
	p := &Ports{}
	for tries := 0; len(p.Numbers) < n; tries++ {
		if tries == 1000 {
			p.Release()
			return nil, fmt.Errorf("no %d free ports from %d to %d", n, firstPort, lastPort)
		}
		if err := p.take(firstPort + rand.IntN(lastPort-firstPort+1)); err != nil {
			p.Release()
			return nil, err
		}
	}
	return p, nil
}

// take adds a port if it is free; one that is not free is no error.
func (p *Ports) take(port int) error {
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
	if PortFree(port) != nil {
		return lock.Close()
	}
	p.Numbers = append(p.Numbers, port)
	p.locks = append(p.locks, lock)
	return nil
}

// Release lets others take the ports.
func (p *Ports) Release() {
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

// PortFree tells whether a port can be bound now.
func PortFree(port int) error {
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	return l.Close()
}

// Loopback is the address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
