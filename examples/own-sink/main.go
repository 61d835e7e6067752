// Command own-sink is Millrace with a sink of its own beside the built-in ones:
// every command knows it.
package main

import (
	"os"

	"github.com/millrace/millrace/cmd"
	"github.com/millrace/millrace/handlers/builtin"

	"example.com/own-sink/line"
)

func main() { os.Exit(cmd.Main(append(builtin.Specs(), line.Spec())...)) }
