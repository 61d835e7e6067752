package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/listen"
)

// closeBound is how long a closing server waits for answers under way.
const closeBound = 2 * time.Second

// Server answers HTTP requests on one listener from the moment it is made until
// it is closed. Its methods are safe for concurrent use.
type Server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
	once     sync.Once
	err      error
}

// serve answers on listener, which the server owns from now on.
func serve(listener net.Listener, handler http.Handler, logger *slog.Logger) *Server {
	s := &Server{
		listener: listener,
		done:     make(chan struct{}),
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       30 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          listen.ErrorLog(logger),
		},
	}
	if limit, ok := listener.(*listen.Limit); ok {
		// Clients that are not the process's own are cut off where they don't read, or
		// take long to ask.
		s.http.ConnState, s.http.WriteTimeout, s.http.ReadHeaderTimeout = limit.ConnState, 30*time.Second, 2*time.Second
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("listener stopped", "listen", listener.Addr().String(), "err", err)
		}
	}()
	return s
}

// Addr is the address that it listens on, with the port that was chosen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops listening and waits for answers under way, at most two seconds and
// no longer than ctx lasts, then cuts them off. Calls after the first wait for it
// and return what it did.
func (s *Server) Close(ctx context.Context) error {
	s.once.Do(func() {
		bounded, cancel := context.WithTimeout(ctx, closeBound)
		defer cancel()
		if s.http.Shutdown(bounded) != nil {
			s.err = s.http.Close()
		}
		<-s.done
	})
	return s.err
}
