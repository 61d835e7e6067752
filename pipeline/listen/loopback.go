package listen

import (
	"fmt"
	"net"
)

// ListenKey is the configuration's key of the address, for errors to name.
const ListenKey = "kafka.embedded.listen"

// CheckLoopback tells why Open would refuse to listen on address, whatever the
// machine; nil where it would not. Its error begins with the configuration's key.
func CheckLoopback(address string) error {
	_, err := Loopback(address)
	return err
}

// Loopback checks that address reaches this machine only and returns it with a
// literal host.
func Loopback(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%s: %q is no host:port, as 127.0.0.1:9092", ListenKey, address)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("%s: %q is not a loopback address: the embedded broker has no authentication, so it "+
			"serves "+
			"this machine only, as on 127.0.0.1:9092; use a Kafka cluster, `kafka.brokers`, to be reached from "+
			"elsewhere", ListenKey, address)
	}
	return net.JoinHostPort(host, port), nil
}
