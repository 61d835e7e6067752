// Package builtin is the one list of the sinks that Millrace comes with. A
// binary with sinks of its own passes them to cmd.Main beside these.
package builtin

import (
	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/file"
	"github.com/millrace/millrace/handlers/http"
	"github.com/millrace/millrace/handlers/kafka"
	"github.com/millrace/millrace/handlers/stdout"
)

// Specs are the built-in sinks.
func Specs() []handlers.Spec {
	return []handlers.Spec{file.Spec(), http.Spec(), kafka.Spec(), stdout.Spec()}
}

// Registry holds every built-in sink, and more in their place or beside them.
func Registry(more ...handlers.Spec) handlers.Registry {
	return handlers.NewRegistry(append(Specs(), more...)...)
}
