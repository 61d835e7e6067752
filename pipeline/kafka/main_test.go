//go:build !real

package kafka

import (
	"os"
	"testing"
)

// TestMain runs the tests, unless the binary has another role.
func TestMain(m *testing.M) {
	if !playRole() {
		os.Exit(m.Run())
	}
}
