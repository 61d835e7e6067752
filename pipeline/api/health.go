package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/millrace/millrace/pipeline/listen"
)

// HealthConfig is what the health listener needs.
type HealthConfig struct {
	// Listen is the address, `server.health`; port 0 picks a free one.
	Listen string
	// Hosts are the names by which clients may call it, beside those of package
	// listen.
	Hosts []string
	// Reporter tells whether the process is ready.
	Reporter Reporter
	// Metrics answers /metrics.
	Metrics *Metrics
	Logger  *slog.Logger
}

// ServeHealth answers /livez, /readyz and /metrics, and nothing else, on an
// address of its own, so that it may bind anywhere without a token: it shows no
// payloads and takes no orders. The caller closes the Server. Where the address
// can't be had, the error names the key to change.
func ServeHealth(ctx context.Context, config HealthConfig) (*Server, error) {
	listener, err := Listen(ctx, "server.health", config.Listen)
	if err != nil {
		return nil, err
	}
	handler := guarded(healthHandler(config), listen.NewHosts(listener.Addr(), config.Hosts))
	return serve(listen.NewLimit(listener, maxConnections), handler, config.Logger), nil
}

// maxConnections is how many clients may be connected to the health listener.
const maxConnections = 64

// guarded answers only those who call the listener by one of its names.
func guarded(next http.Handler, hosts *listen.Hosts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Take(r) {
			writeError(w, http.StatusMisdirectedRequest,
				errors.New("this server is not called by that name: its operator may add it to server.hosts"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func healthHandler(config HealthConfig) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status := config.Reporter.Status()
		if status.Ready {
			writeText(w, http.StatusOK, "ready")
			return
		}
		writeText(w, http.StatusServiceUnavailable, notReady(status)...)
	})
	mux.Handle("GET /metrics", config.Metrics.Handler())
	return mux
}

// notReady says of what kind the reasons are, one line each. The reasons themselves
// hold errors, and so may hold what stands in records: `millrace status` shows them.
func notReady(status Status) []string {
	lines := slices.Clone(status.Kinds)
	for _, p := range status.Pipelines {
		for _, kind := range p.Kinds {
			lines = append(lines, p.Name+": "+kind)
		}
	}
	if len(lines) == 0 {
		return []string{"not ready"}
	}
	return slices.Compact(lines)
}

func writeText(w http.ResponseWriter, code int, lines ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
}

// Listen listens on the TCP address that the configuration gives under key. Where
// it can't be had, the one error names the key to change.
func Listen(ctx context.Context, key, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: another process has the port: change %s: %w", address, key, err)
	default:
		return nil, fmt.Errorf("listen on %s: check %s: %w", address, key, err)
	}
}
