package cmd

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// unreleased is the version of a build that is told none.
const unreleased = "0.1.0-dev"

// module is where this package comes from.
const module = "github.com/millrace/millrace"

// version is the release, with the commit where the build knows it. A binary with a
// main of its own has the version of Millrace that it was built with.
func (p program) version() string {
	info, _ := debug.ReadBuildInfo()
	return p.release.in(info)
}

func (r Release) in(info *debug.BuildInfo) string {
	if r == "" {
		r = unreleased
	}
	if info == nil {
		return string(r)
	}
	for _, dep := range info.Deps {
		if dep.Path != module {
			continue
		}
		if dep.Replace != nil {
			dep = dep.Replace
		}
		if dep.Version != "" { // a folder has none
			return strings.TrimPrefix(dep.Version, "v")
		}
	}
	for _, s := range info.Settings {
		if info.Main.Path == module && s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return string(r) + "+" + s.Value[:12]
		}
	}
	return string(r)
}

// nameIn is what a binary is called: by its own main package where that is another's,
// so that its completion is for it.
func nameIn(info *debug.BuildInfo) string {
	if info == nil || info.Main.Path == "" || info.Main.Path == module {
		return "millrace"
	}
	return path.Base(info.Path)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.out, "millrace %s %s/%s %s\n", a.version(), runtime.GOOS, runtime.GOARCH,
				runtime.Version())
			return err
		},
	}
}
