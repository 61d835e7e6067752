package embedded

import (
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// attack runs a number of requests against a broker of its own, though not for
// longer than so, and checks that everybody else goes on.
func attack(t *testing.T, seed uint64, requests int, longest time.Duration) {
	b := start(t, Config{SizeLimit: 64 << 20})
	create(t, b, map[string]int32{"orders": 2, "a": 1, "kept": 1})
	c := client(t, b.Addr())
	produce(t, c, "kept", "before")
	s := hostile.NewStranger(b.Addr(), served(), seed)
	defer s.Close()
	for began := time.Now(); requests > 0 && time.Since(began) < longest; requests-- {
		if err := s.Step(); err != nil {
			t.Fatal(err)
		}
	}
	produce(t, c, "kept", "after")
	if got := read(t, b.Addr(), "kept"); !slices.Equal(got, []string{"0 before", "1 after"}) {
		t.Errorf("read %v", got)
	}
}

func TestStrangersDoNotEndTheBroker(t *testing.T) {
	attack(t, 20, 20_000, time.Minute)
}

func FuzzRequests(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	// A fuzzer takes what runs for ten seconds for hung.
	f.Fuzz(func(t *testing.T, seed uint64) { attack(t, seed, 200, 2*time.Second) })
}
