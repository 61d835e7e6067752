// Package builtin is the one list of the sinks that Millrace comes with. A
// binary with sinks of its own passes them to handlers.NewRegistry beside these.
package builtin

import (
	"maps"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/file"
	"github.com/millrace/millrace/handlers/http"
	"github.com/millrace/millrace/handlers/kafka"
	"github.com/millrace/millrace/handlers/stdout"
)

// Registry holds every built-in sink, and more in their place or beside them.
func Registry(more ...handlers.Spec) handlers.Registry {
	r := handlers.NewRegistry(file.Spec(), http.Spec(), kafka.Spec(), stdout.Spec())
	maps.Copy(r, handlers.NewRegistry(more...))
	return r
}
