//go:build real && linux

package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/handlers"
)

// checkEffects fails for each good record that was acknowledged and had not each of
// its effects exactly once.
func (s *soak) checkEffects() {
	s.t.Helper()
	effects := map[string]map[string]int{"calls": {}, "copies": {}, "files": {}}
	s.receiver.mu.Lock()
	for id, calls := range s.receiver.calls {
		effects["calls"][id] = len(calls)
	}
	s.receiver.mu.Unlock()
	for _, id := range s.filed() {
		effects["files"][id]++
	}
	s.alone(func(broker string) {
		readEach(s.t, broker, "copy_eu", func(r *handlers.Record) { effects["copies"][idOf(r.Value)]++ })
	})
	for name, had := range effects {
		lost, repeated, example := 0, 0, ""
		for id := range s.acked {
			switch n := had[id]; {
			case n == 0:
				lost, example = lost+1, id
			case n > 1:
				repeated, example = repeated+1, id
			}
		}
		if lost+repeated > 0 {
			s.t.Errorf("%s: of %d good records %d had no effect and %d more than one, such as %s", name, len(s.acked), lost, repeated, example)
		}
	}
}

// checkDeadLetters fails for each good record that is in a topic of dead letters, and
// counts the others by their reasons.
func (s *soak) checkDeadLetters() {
	s.t.Helper()
	s.alone(func(broker string) {
		for _, pipeline := range []string{"calls", "copies", "files"} {
			readEach(s.t, broker, pipeline+".dead-letter", func(r *handlers.Record) {
				reason, _ := r.Header("millrace-reason")
				s.count("dead letters of "+pipeline, string(reason))
				if strings.HasPrefix(string(r.Key), "g-") {
					last, _ := r.Header("millrace-last-error")
					s.t.Errorf("%s: %s is a dead letter: %s: %s", pipeline, r.Key, reason, last)
				}
			})
		}
	})
}

// alone opens the log of the process that ended, and calls look with its address.
func (s *soak) alone(look func(broker string)) {
	s.t.Helper()
	b := start(s.t, s.p.dir, "broker", "--listen", "127.0.0.1:0")
	look(b.broker())
	if code := b.stop(); code != 0 {
		s.t.Errorf("exit code %d of the broker", code)
	}
}

// report tells what happened, and fails where a good record took far too long.
func (s *soak) report(drained time.Duration) {
	s.t.Helper()
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	took := map[string][]time.Duration{}
	for id, calls := range s.receiver.calls {
		at, ok := s.sent[id]
		if !ok {
			continue
		}
		way := "over HTTP"
		if strings.ContainsAny(id[len(id)-1:], "13579") {
			way = "through the broker"
		}
		took[way] = append(took[way], calls[0].Sub(at))
		took["in all"] = append(took["in all"], calls[0].Sub(at))
	}
	for _, way := range slices.Sorted(maps.Keys(took)) {
		all := slices.Sorted(slices.Values(took[way]))
		at := func(share float64) time.Duration {
			return all[min(len(all)-1, int(share*float64(len(all))))].Round(time.Millisecond)
		}
		s.t.Logf("%d good records %s took from sent to called p50 %s, p99 %s, at most %s", len(all), way, at(0.5), at(0.99), at(1))
		if at(1) > soakSlowest {
			s.t.Errorf("a good record took %s", at(1))
		}
	}
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(&lines, "\n%s:", name)
		for _, what := range slices.Sorted(maps.Keys(s.counts[name])) {
			fmt.Fprintf(&lines, " %d %s,", s.counts[name][what], what)
		}
	}
	s.t.Log("what came of it:" + strings.TrimSuffix(lines.String(), ","))
	ended := s.p.cmd.ProcessState
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		s.t.Error(err)
	}
	s.t.Logf("stopped within %s; %s of CPU, and %s in the attackers", drained.Round(time.Millisecond),
		(ended.UserTime() + ended.SystemTime()).Round(time.Millisecond),
		time.Duration(own.Utime.Nano()+own.Stime.Nano()).Round(time.Millisecond))
}
