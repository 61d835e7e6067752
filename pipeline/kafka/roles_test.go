package kafka

import (
	"fmt"
	"io"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"
)

// roleVariable says what the test binary is to be where it is not to run tests:
// some need another process.
const roleVariable = "MILLRACE_TEST_ROLE"

// roleBroker is the benchmark's broker, whose work is not to be counted.
const roleBroker = "broker"

// playRole does what the test binary was started for, if that is not to run
// tests, and tells whether it was something else.
func playRole() bool {
	switch role := os.Getenv(roleVariable); role {
	case "":
		return false
	case roleReader:
		beReader()
	case roleBroker:
		beBroker()
	default:
		fail(fmt.Errorf("unknown role %q", role))
	}
	return true
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// beBroker runs until its input ends.
func beBroker() {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(benchPartitions, "in", "out"))
	if err != nil {
		fail(err)
	}
	fmt.Println(c.ListenAddrs()[0])
	io.Copy(io.Discard, os.Stdin)
	c.Close()
}
