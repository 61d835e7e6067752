package embedded

import (
	"fmt"
	"net"
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
