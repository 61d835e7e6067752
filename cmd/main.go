// Package cmd is the command line of Millrace. A binary with sinks of its own is a
// main of one line:
//
//	func main() { os.Exit(cmd.Main(append(builtin.Specs(), mysink.Spec())...)) }
package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/millrace/millrace/handlers"
)

// Main runs the command line of the process with these kinds of sinks, all of
// which every command then knows, and returns its exit code. Of two of one kind
// the later counts. It is called once, by main.
func Main(specs ...handlers.Spec) int { return Release("").Main(specs...) }

// Release is the version that a build is told; empty, it is the one that the build
// itself knows.
type Release string

// Main is the function Main of this release.
func (r Release) Main(specs ...handlers.Spec) int {
	if os.Getenv("GOGC") == "" {
		// What is alive is small and what passes through is large: collecting
		// half as often saves a fifth of the processor for some ten MB.
		debug.SetGCPercent(200)
	}
	registry := handlers.NewRegistry(specs...)
	if err := registry.Check(); err != nil {
		fmt.Fprintf(os.Stderr, "millrace: this binary is built wrongly: %v\n", err)
		return exitUsage
	}
	return program{r, registry}.run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// program is what a binary was built with.
type program struct {
	release  Release
	registry handlers.Registry
}

// run executes one command line and returns its exit code.
func (p program) run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	out, errOut = onScreen(out), onScreen(errOut)
	a := &app{program: p, in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	return exitCode(errOut, cmd, a.redactor.Error(err))
}
