//go:build real

package cmd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// Redis is not up when a run starts, and goes away later without any traffic: both
// times the state and the log say so, and it goes on by itself.
func TestRealRedisNotUpYet(t *testing.T) {
	t.Parallel()
	redis := redisserver.Need(t, redisserver.Options{AppendFsync: "always"})
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	start(t, t.TempDir(), "broker", "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	dir := clusterBeside(t, port, freePort(t), fmt.Sprintf(`
idempotency: {store: '%s'}
pipelines:
  guarded: {source: {topic: orders}, idempotency: {key: '${payload.id}'}, sinks: [{stdout: {}}]}
  other: {source: {topic: orders}, sinks: [{stdout: {}}]}
`, redis.URL()))
	p := launch(t, dir, "run", "--create-topics")
	states := func(ready bool, guarded, other api.State) func() bool {
		return func() bool {
			s := p.status()
			return s.Ready == ready && s.Pipelines[0].State == guarded && s.Pipelines[1].State == other
		}
	}
	p.await("it says that it waits", func() bool { return strings.Contains(p.log(), `"waiting_for":"the key store"`) })
	p.await("nothing runs yet", states(false, "starting", "starting"))
	for range 2 {
		if err := redis.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.await("both run", states(true, "running", "running"))
		if err := redis.Kill(); err != nil {
			t.Fatal(err)
		}
		p.await("the one that needs it waits", states(false, "waiting", "running"))
	}
	// A connection that ends and one that is refused are two causes.
	if n := strings.Count(p.log(), "paused; nothing is dropped"); n < 2 || n > 4 {
		t.Errorf("two outages were logged %d times", n)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
