package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

const (
	// maxInFlight is how many whole requests are worked on at once; more are told
	// to come back.
	maxInFlight = 1024
	// defaultMaxBytes is the largest body where a route names none.
	defaultMaxBytes = 1 << 20
	// produceTimeout is how long a record may take to become durable: longer
	// than a partition's leader takes to move.
	produceTimeout = 30 * time.Second
	headerTimeout  = 5 * time.Second
	readTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Deps is what a Server uses of its process.
type Deps struct {
	// Logger must not be nil.
	Logger *slog.Logger
	// OnRequest, where set, is told each answer: the route's path, empty for
	// none, and the status. It must not block and must be safe for concurrent
	// use.
	OnRequest func(route string, status int)
}

// Server takes records over HTTP. Its life: Listen, Serve, at a stop Refuse and,
// once nothing posts to it any more, Close.
type Server struct {
	producer handlers.Producer
	deps     Deps
	address  string
	routes   atomic.Pointer[map[string]*route]
	server   *http.Server
	listener net.Listener
	slots    chan struct{}
	bodies   budget
	origins  *http.CrossOriginProtection
	refusing atomic.Bool
	// failing tells that the last record could not be made durable, so that an
	// outage is logged once and not per request.
	failing atomic.Bool
}

// route is a Route with what its requests share.
type route struct {
	Route
	inputs sync.Pool
}

// New makes a server of plan that writes through producer. It touches no network.
func New(plan *Plan, producer handlers.Producer, deps Deps) *Server {
	s := &Server{
		producer: producer, deps: deps, address: plan.Listen,
		slots: make(chan struct{}, maxInFlight), origins: http.NewCrossOriginProtection(),
	}
	s.Update(plan)
	s.server = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(deps.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Update takes the routes of another plan for all requests that come from now
// on. The address stays what it was.
func (s *Server) Update(plan *Plan) {
	routes := make(map[string]*route, len(plan.Routes))
	most := int64(minBudget)
	for _, r := range plan.Routes {
		if r.MaxBytes <= 0 {
			r.MaxBytes = defaultMaxBytes
		}
		if r.Scope == nil {
			// The body is checked to be JSON by loading it, key or not.
			r.Scope = expression.NewScope(expression.Options{Format: expression.FormatJSON, Request: true})
		}
		most = max(most, atOnce*r.MaxBytes)
		scope := r.Scope
		routes[r.Path] = &route{Route: r, inputs: sync.Pool{New: func() any { return scope.NewInput() }}}
	}
	s.bodies.most.Store(most)
	s.routes.Store(&routes)
}

// Listen takes the address and returns it, with the port where the plan left it
// open. Requests wait until Serve.
func (s *Server) Listen() (net.Addr, error) {
	listener, err := net.Listen("tcp", s.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("ingest.listen: another program listens on %s: stop it or choose another address", s.address)
	case err != nil:
		return nil, fmt.Errorf("ingest.listen: %w", err)
	}
	s.listener = listener
	return listener.Addr(), nil
}

// Serve answers requests until Close, and then returns nil. Listen comes first.
func (s *Server) Serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve ingest: %w", err)
	}
	return nil
}

// Refuse answers new requests with 503 from now on, but for those of pipelines:
// the work in flight that a stop waits for may end in a record here, and would
// never be done if this were refused. A pipeline, of this process or another,
// is known by the form of its Idempotency-Key; what else has a key of that form
// is taken until Close as well, and is as durable as before.
func (s *Server) Refuse() { s.refusing.Store(true) }

// Close stops to listen and waits until ctx ends for requests in flight; what
// is still unanswered then is cut, which is no error: a client that is still
// sending has been promised nothing. It may be called without Serve, and twice.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if s.listener != nil {
		// Shutdown knows the listener only once Serve has run.
		_ = s.listener.Close()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		s.deps.Logger.Warn("requests that were not complete were cut off at the stop")
		err = s.server.Close()
	}
	if err != nil {
		return fmt.Errorf("close ingest: %w", err)
	}
	return nil
}
