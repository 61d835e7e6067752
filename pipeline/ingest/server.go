package ingest

import (
	"context"
	"crypto/tls"
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
	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/listen"
	"github.com/millrace/millrace/pipeline/memory"
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
	// writeTimeout is how long a request may take from its head to its answer.
	writeTimeout = readTimeout + produceTimeout + 2*patience
	// maxConnections is how many clients may be connected at once.
	maxConnections = 2000
	// minChecks is how much memory the values may take that are checked against
	// schemas.
	minChecks = 64 << 20
)

// Deps is what a Server uses of its process.
type Deps struct {
	// Logger must not be nil.
	Logger *slog.Logger
	// OnRequest, where set, is told each answer: the route's path, empty for
	// none, and the status. It must not block and must be safe for concurrent
	// use.
	OnRequest func(route string, status int)
	// Memory is how many bytes requests may take, 0 for the server's own bounds. They
	// are for requests alone: what others take never keeps out the records that
	// pipelines of the same process send here, and are done only once they are answered.
	Memory int64
}

// Server takes records over HTTP. Its life: Listen, Serve, at a stop Refuse and,
// once nothing posts to it any more, Close.
type Server struct {
	producer handlers.Producer
	deps     Deps
	address  string
	routes   atomic.Pointer[map[string]*route]
	server   *http.Server
	limit    *listen.Limit
	hosts    *listen.Hosts
	files    *certificate.Files
	named    []string
	slots    chan struct{}
	// bodies is the memory of bodies from their first byte to their answer, and
	// checks that of decoded values.
	bodies, checks *memory.Account
	origins        *http.CrossOriginProtection
	refusing       atomic.Bool
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
		producer: producer, deps: deps, address: plan.Listen, files: plan.TLS, named: plan.Hosts,
		slots: make(chan struct{}, maxInFlight), origins: http.NewCrossOriginProtection(),
	}
	s.Update(plan)
	s.setMemory()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.server = &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               16 << 10,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     listen.ErrorLog(deps.Logger),
	}
	return s
}

// setMemory sets how much memory requests may take: half of what there is for each of
// the two, at least what the largest body takes.
func (s *Server) setMemory() {
	largest := int64(0)
	for _, r := range *s.routes.Load() {
		largest = max(largest, r.maxBody())
	}
	bodies, checks := max(minBodies, atOnce*largest), int64(minChecks)
	if half := s.deps.Memory / 2; half > 0 {
		bodies, checks = max(min(bodies, half), 2*largest), min(checks, half)
	}
	s.bodies, s.checks = memory.NewAccount(bodies), memory.NewAccount(max(checks, 1))
}

// Update takes the routes of another plan for all requests that come from now
// on. The address and the memory stay what they were.
func (s *Server) Update(plan *Plan) {
	routes := make(map[string]*route, len(plan.Routes))
	for _, r := range plan.Routes {
		if r.MaxBytes <= 0 {
			r.MaxBytes = defaultMaxBytes
		}
		if r.Scope == nil {
			// The body is checked to be JSON by loading it, key or not.
			r.Scope = expression.NewScope(expression.Options{Format: expression.FormatJSON, Request: true})
		}
		scope := r.Scope
		routes[r.Path] = &route{Route: r, inputs: sync.Pool{New: func() any { return scope.NewInput() }}}
	}
	s.routes.Store(&routes)
}

// Listen takes the address and returns it, with the port where the plan left it
// open. Requests wait until Serve.
func (s *Server) Listen() (net.Addr, error) {
	if s.files != nil {
		current, err := certificate.NewCurrent(*s.files, s.deps.Logger)
		if err != nil {
			return nil, fmt.Errorf("ingest.tls: %w", err)
		}
		s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: current.Get}
	}
	listener, err := net.Listen("tcp", s.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("ingest.listen: another program listens on %s: stop it or choose another address",
			s.address)
	case err != nil:
		return nil, fmt.Errorf("ingest.listen: %w", err)
	}
	s.hosts = listen.NewHosts(listener.Addr(), s.named)
	s.limit = listen.NewLimit(listener, maxConnections)
	s.server.ConnState = s.limit.ConnState
	return listener.Addr(), nil
}

// Serve answers requests until Close, and then returns nil. Listen comes first.
func (s *Server) Serve() error {
	serve := s.server.Serve
	if s.files != nil {
		serve = func(l net.Listener) error { return s.server.ServeTLS(l, "", "") }
	}
	if err := serve(s.limit); !errors.Is(err, http.ErrServerClosed) {
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
	if s.limit != nil {
		// Shutdown knows the listener only once Serve has run.
		_ = s.limit.Close()
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
