package idempotency

import (
	"strings"
	"sync"
	"testing"
)

func TestIdentityTellsPartsApart(t *testing.T) {
	var topic, namesake [16]byte
	namesake[0] = 1
	ids := map[string]ID{
		"plain":            Identity("p", "s", 1, "key"),
		"moved border":     Identity("ps", "", 1, "key"),
		"other border":     Identity("", "ps", 1, "key"),
		"other generation": Identity("p", "s", 2, "key"),
		"other key":        Identity("p", "s", 1, "key2"),
		"long key":         Identity("p", "s", 1, strings.Repeat("k", 1000)),
		"coordinates":      Coordinates("p", "s", 1, topic, 0, 7),
		"other offset":     Coordinates("p", "s", 1, topic, 0, 8),
		"other partition":  Coordinates("p", "s", 1, topic, 1, 7),
		"other topic":      Coordinates("p", "s", 1, namesake, 0, 7),
		"key of the bytes": Identity("p", "s", 1, string(topic[:])),
	}
	seen := map[ID]string{}
	for name, id := range ids {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have one identity", name, other)
		}
		seen[id] = name
	}
}

// Receivers and stores keep identities for days: a release must not change them.
func TestIdentityNeverChanges(t *testing.T) {
	id := Identity("invoice-notifications", "http", 1, "notification:invoices:o-1")
	if got, want := id.String(), "2eff5caf9b93719c1d0dec07781b19286fb3a937583c01ee5fcfc358f3a7f2f5"; got != want {
		t.Errorf("identity is %s, was %s", got, want)
	}
	if got, want := id.External(), "f37vzl43snyzyhin5qdxqgyzfa"; got != want {
		t.Errorf("external form is %s, was %s", got, want)
	}
	at := Coordinates("audit", "file", 1, [16]byte{1, 2, 3}, 4, 5)
	if got, want := at.External(), "ebcnuer2yh2zaa5jogndmo5rci"; got != want {
		t.Errorf("external form of coordinates is %s, was %s", got, want)
	}
}

func TestTokensDiffer(t *testing.T) {
	const each = 1000
	runs := []*Run{NewRun(), NewRun()}
	var mu sync.Mutex
	seen := map[Token]bool{}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range each {
				token := runs[i%2].Next()
				mu.Lock()
				seen[token] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 4*each {
		t.Errorf("%d tokens differ, of %d", len(seen), 4*each)
	}
	if len(runs[0].ID()) != 32 || runs[0].ID() == runs[1].ID() {
		t.Errorf("run ids are %q and %q", runs[0].ID(), runs[1].ID())
	}
}
