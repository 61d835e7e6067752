//go:build real

package redis

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/redis/rueidis"
)

// claimsMany claims and confirms keys that lie all over a cluster.
func claimsMany(t *testing.T, s *Store) {
	t.Helper()
	run := idempotency.NewRun()
	claims := make([]idempotency.Claim, 200)
	for i := range claims {
		claims[i] = aClaim(run)
	}
	verdicts, err := s.Claim(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	states, err := s.Confirm(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	for i := range claims {
		if verdicts[i].Answer != idempotency.Go || states[i] != idempotency.Held {
			t.Fatalf("claim %d: %v, %v", i, verdicts[i].Answer, states[i])
		}
	}
	rows, err := s.Get(t.Context(), []idempotency.ID{claims[7].ID})
	if err != nil || rows[0] == nil || rows[0].State != idempotency.Confirmed {
		t.Errorf("%v, %v", rows, err)
	}
}

// single is a client of one server, cluster or not; it ends with the test.
func single(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// A Redis Cluster needs no setting: one of its addresses is enough.
func TestRealCluster(t *testing.T) {
	var nodes []*server
	for range 3 {
		nodes = append(nodes, startServer(t, "--cluster-enabled", "yes"))
	}
	plain := func(s *server) *Store { return &Store{client: single(t, s.addr)} }
	for i, node := range nodes {
		at := plain(node)
		at.do(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*5462), fmt.Sprint(min(16383, (i+1)*5462-1)))
		host, port, _ := net.SplitHostPort(nodes[0].addr)
		at.do(t, "CLUSTER", "MEET", host, port)
	}
	first := plain(nodes[0])
	for range 300 {
		info, err := first.client.Do(t.Context(), first.client.B().Arbitrary("CLUSTER", "INFO").Build()).ToString()
		if err == nil && infoField(info, "cluster_state") == "ok" && infoField(info, "cluster_known_nodes") == "3" && infoField(info, "cluster_size") == "3" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	store := open(t, nodes[1].url("/0?addr="+nodes[2].addr), Options{})
	if store.able != (ability{}) {
		t.Errorf("of a cluster, whose nodes have clocks of their own, it is taken that it can do %+v", store.able)
	}
	claimsMany(t, store)
	// Every node's keys are listed, in bounded steps, each once.
	listed := map[string]int{}
	for from, steps := "", 0; ; steps++ {
		found, err := store.List(t.Context(), from, 20)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range found.Keys {
			listed[k.External]++
		}
		if from = found.Next; from != "" {
			continue
		}
		if len(listed) != 200 || steps < 6 || found.Bytes == 0 {
			t.Errorf("%d keys in %d steps, %d bytes", len(listed), steps, found.Bytes)
		}
		break
	}
}

// Behind Sentinel the address is that of the sentinels, and names the set.
func TestRealSentinel(t *testing.T) {
	master := startServer(t)
	host, port, _ := net.SplitHostPort(master.addr)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "sentinel monitor shop %s %s 1\n", host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	// A configuration file is the first argument; the sentinel writes to it.
	sentinel := &server{dir: t.TempDir(), first: []string{conf, "--sentinel"}}
	sentinel.listen(t)
	claimsMany(t, open(t, sentinel.url("/2?master_set=shop"), Options{}))
}
