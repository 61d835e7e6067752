//go:build unix

package redisserver

import "testing"

// Need starts a server that ends with the test, and fails the test where
// that can't be done. A test that fails logs the end of the server's log.
func Need(tb testing.TB, options Options) *Server {
	tb.Helper()
	r, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	r.Explain(tb)
	return r
}

// Explain logs the end of the server's log when a test has failed.
func (r *Server) Explain(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("Redis:\n%s", r.Log(20))
		}
	})
}
