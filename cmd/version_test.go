package cmd

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	revision := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}
	own := &debug.BuildInfo{Main: debug.Module{Path: module}, Settings: revision}
	with := func(dep debug.Module) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: "example.com/own"}, Deps: []*debug.Module{{Path: "example.com/x"}, &dep}, Settings: revision}
	}
	for _, c := range []struct {
		release Release
		info    *debug.BuildInfo
		want    string
	}{
		{"", nil, unreleased},
		{"1.2.3", nil, "1.2.3"},
		{"", own, unreleased + "+0123456789ab"},
		{"1.2.3", own, "1.2.3+0123456789ab"},
		{"", with(debug.Module{Path: module, Version: "v1.4.0"}), "1.4.0"},
		{"", with(debug.Module{Path: module, Version: "v1.4.0", Replace: &debug.Module{Path: "../.."}}), unreleased},
		{"", with(debug.Module{Path: module, Version: "v1.4.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.4.1"}}), "1.4.1"},
	} {
		if got := c.release.in(c.info); got != c.want {
			t.Errorf("%q is the version %q, not %q", c.release, got, c.want)
		}
	}
}

// TestReleaseIsLinked builds the binary as the Makefile does where a tag names a
// release.
func TestReleaseIsLinked(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "millrace")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.release=v7.8.9", "-o", binary, "./millrace").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "millrace v7.8.9") {
		t.Errorf("%v: %s", err, out)
	}
}
