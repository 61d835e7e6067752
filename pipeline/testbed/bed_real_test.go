//go:build real

package testbed_test

import (
	"testing"

	"github.com/millrace/millrace/pipeline/testbed"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/process"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

type tests func() int

func (run tests) Run() int { return run() }

func TestRealBedSharesAndEndsItsComponents(t *testing.T) {
	dir := t.TempDir()
	bed := testbed.Bed{RedisOptions: redisserver.Options{Dir: dir}}
	code := bed.Run(tests(func() int {
		var first *redisserver.Server
		t.Run("first", func(t *testing.T) { first = bed.Redis(t) })
		t.Run("second", func(t *testing.T) {
			if bed.Redis(t) != first {
				t.Error("each test has a server of its own")
			}
			redis(t, first, "PONG", "PING")
		})
		return 7
	}))
	if code != 7 {
		t.Errorf("got code %d, want that of the tests", code)
	}
	if running, err := process.Running(dir); running || err != nil {
		t.Errorf("after the tests the server runs: %t, %v", running, err)
	}
}

func TestRealMissingToolIsAnError(t *testing.T) {
	if _, err := kafkacluster.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := redisserver.Start(t.Context(), redisserver.Options{}); err == nil {
		t.Error("a server was started without redis-server")
	}
	if _, err := kafkacluster.Start(t.Context(), kafkacluster.Options{}); err == nil {
		t.Error("a cluster was started without Java")
	}
}
