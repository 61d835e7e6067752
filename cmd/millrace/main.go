// Command millrace runs declarative pipelines between Kafka topics and sinks.
package main

import (
	"os"

	"github.com/millrace/millrace/cmd"
	"github.com/millrace/millrace/handlers/builtin"
)

// release is set at link time where a tag names one.
var release string

func main() { os.Exit(cmd.Release(release).Main(builtin.Specs()...)) }
