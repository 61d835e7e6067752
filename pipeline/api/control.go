package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
)

// ServeControl answers by handler on the control socket, a unix socket in a private
// folder by which other commands talk to a running process: who may open it may do
// everything, it has mode 0600. The caller closes it.
func ServeControl(ctx context.Context, socket string, handler http.Handler, log *slog.Logger) (*Server, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on the control socket: %w", err), listener.Close())
	}
	return serve(listener, handler, log), nil
}
