//go:build !real

package cmd

import "testing"

// runTests runs the tests that need nothing but Go.
func runTests(m *testing.M) int { return m.Run() }
