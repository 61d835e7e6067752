package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// ControlConfig is what the control socket needs.
type ControlConfig struct {
	// Socket is the path of the unix socket, in a private folder.
	Socket   string
	Reporter Reporter
	// CreateTopic makes a topic on the embedded broker; partitions 0 is the
	// broker's default, and a topic that exists is left as it is. It is nil
	// where the process runs no embedded broker.
	CreateTopic func(ctx context.Context, name string, partitions int32) error
	Logger      *slog.Logger
}

// Control is the socket by which other commands talk to a running process. Who
// may open the socket may do everything: it has mode 0600.
type Control struct {
	*Server
	mux *http.ServeMux
}

// ServeControl answers on the control socket. The caller closes it.
func ServeControl(ctx context.Context, config ControlConfig) (*Control, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "unix", config.Socket)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(config.Socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on the control socket: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		if measurer, ok := config.Reporter.(Measurer); ok {
			limited, cancel := context.WithTimeout(r.Context(), measureLimit)
			measurer.Measure(limited)
			cancel()
		}
		WriteJSON(w, http.StatusOK, config.Reporter.Status())
	})
	mux.HandleFunc("POST /topics", config.createTopic)
	return &Control{Server: serve(listener, mux, config.Logger), mux: mux}, nil
}

// Handle adds what a later command asks for; pattern is one of net/http's
// ServeMux. It may be called while requests are answered, and panics where the
// pattern is taken.
func (c *Control) Handle(pattern string, handler http.Handler) { c.mux.Handle(pattern, handler) }

// measureLimit is how long a status waits for the lag of this moment. Where the
// brokers are away it shows what was last known.
const measureLimit = 500 * time.Millisecond

// maxControlBody is far above what any command sends.
const maxControlBody = 1 << 20

type topicRequest struct {
	Name       string `json:"name"`
	Partitions int32  `json:"partitions,omitempty"`
}

func (config ControlConfig) createTopic(w http.ResponseWriter, r *http.Request) {
	var request topicRequest
	if !ReadJSON(w, r, &request) {
		return
	}
	if config.CreateTopic == nil {
		WriteError(w, http.StatusConflict, errors.New("this process runs no embedded broker"))
		return
	}
	if err := config.CreateTopic(r.Context(), request.Name, request.Partitions); err != nil {
		WriteError(w, http.StatusUnprocessableEntity, err)
		return
	}
	WriteJSON(w, http.StatusOK, struct{}{})
}

// ReadJSON decodes the request's body into v, strictly. Where it can't, it
// answers so and returns false.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		WriteError(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return false
	}
	return true
}

// WriteJSON answers with v, which must marshal.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// WriteError answers with err's message, which a Client returns as a
// *ResponseError.
func WriteError(w http.ResponseWriter, code int, err error) {
	WriteJSON(w, code, errorBody{Error: err.Error()})
}

type errorBody struct {
	Error string `json:"error"`
}
