package cmd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// quietFor is how long a command waits for an answer without a word.
	quietFor = 1500 * time.Millisecond
	// clusterPatience is how long a command tries to reach a broker.
	clusterPatience = 15 * time.Second
)

// patiently runs f, and says on standard error that it is still being tried where
// f has not ended before long. why, where set, tells what was met so far.
func (a *app) patiently(what string, f func() error, why func() string) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(quietFor):
	}
	if why != nil {
		what += why()
	}
	fmt.Fprintf(a.err, "millrace: %s; still trying\n", what)
	return <-done
}

// reach waits until a broker answers, and says so where that takes a while.
func (a *app) reach(ctx context.Context, c *cluster) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	var mu sync.Mutex
	met := ""
	return a.patiently("no broker answers yet at "+strings.Join(c.settings.Brokers, ", "),
		func() error {
			return c.admin.Ping(ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				met = " (" + err.Error() + ")"
			})
		},
		func() string {
			mu.Lock()
			defer mu.Unlock()
			return met
		})
}
