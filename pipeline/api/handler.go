package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// prefix begins the path of everything that the API has: a process and a command of
// different versions find out that they differ.
const prefix = "/api/v1"

// Keys is what a person may do with idempotency keys, wherever they live.
type Keys interface {
	// Get returns the row of each key, nil where there is none.
	Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error)
	// Delete forgets keys, and tells which there were.
	Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error)
	// AcceptReset takes the store's memory as it is now.
	AcceptReset(ctx context.Context) error
	idempotency.Lister
}

// Controller is what a person may change in a running process. It must be safe for
// concurrent use.
type Controller interface {
	// Keys are those that the process guards effects by; an error says why there are
	// none, or none yet.
	Keys() (Keys, error)
	// Pause stops the reading of a pipeline; what is in flight finishes. One that is
	// paused already stays as it was, but may be kept over a restart from now on.
	// The error is an *UnknownPipelineError where it runs none of the name.
	Pause(ctx context.Context, pipeline string, pause Pause) (PauseAnswer, error)
	// Resume ends what Pause began, and nothing else that a pipeline waits for.
	Resume(ctx context.Context, pipeline string) (PauseAnswer, error)
	// Skip lets a pipeline go past a record at which it stands, durably: until the commit
	// has passed it, also over a restart. The error is an *UnknownPipelineError, or a
	// *NotStandingError where it does not stand there.
	Skip(ctx context.Context, pipeline string, skip Skip) (SkipAnswer, error)
	Jobs
}

// Handler is the API of a running process: what it does, from reporter, and what can be
// changed there, through controller, which may be nil. It asks nobody who they are:
// that is the listener's.
func Handler(reporter Reporter, controller Controller) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"/status", func(w http.ResponseWriter, r *http.Request) {
		if measurer, ok := reporter.(Measurer); ok {
			limited, cancel := context.WithTimeout(r.Context(), measureLimit)
			measurer.Measure(limited)
			cancel()
		}
		writeJSON(w, http.StatusOK, reporter.Status())
	})
	if controller != nil {
		handlePauses(mux, controller)
		handleJobs(mux, controller)
		handleSkips(mux, controller)
		for path, do := range keysCalls() {
			mux.HandleFunc("POST "+prefix+"/keys/"+path,
				func(w http.ResponseWriter, r *http.Request) { serveKeys(w, r, controller, do) })
		}
	}
	return mux
}

// measureLimit is how long a status waits for the lag of this moment. Where the
// brokers are away it shows what was last known.
const measureLimit = 500 * time.Millisecond

// keysRequest is what a call about keys is sent: the keys, or where a list goes on.
type keysRequest struct {
	IDs  [][]byte `json:"ids,omitempty"`
	From string   `json:"from,omitempty"`
	Most int      `json:"most,omitempty"`
}

// keysListing is one step of a list.
type keysListing struct {
	Keys  []keysListed `json:"keys"`
	Next  string       `json:"next,omitempty"`
	Bytes int64        `json:"bytes,omitempty"`
}

type keysListed struct {
	External string `json:"id"`
	Row      []byte `json:"row"`
}

// mostListed bounds one step of a list, so that its answer stays small.
const mostListed = 1024

func listKeys(ctx context.Context, keys Keys, asked keysRequest) (any, error) {
	found, err := keys.List(ctx, asked.From, min(max(1, asked.Most), mostListed))
	answer := keysListing{Next: found.Next, Bytes: found.Bytes}
	for _, k := range found.Keys {
		answer.Keys = append(answer.Keys, keysListed{k.External, idempotency.Encode(k.Row)})
	}
	return answer, err
}

type keysCall func(ctx context.Context, keys Keys, ids []idempotency.ID, asked keysRequest) (any, error)

func keysCalls() map[string]keysCall {
	return map[string]keysCall{
		"get": func(ctx context.Context, keys Keys, ids []idempotency.ID, _ keysRequest) (any, error) {
			rows, err := keys.Get(ctx, ids)
			encoded := make([][]byte, len(rows))
			for i, row := range rows {
				if row != nil {
					encoded[i] = idempotency.Encode(row)
				}
			}
			return encoded, err
		},
		"delete": func(ctx context.Context, keys Keys, ids []idempotency.ID, _ keysRequest) (any, error) {
			return keys.Delete(ctx, ids)
		},
		"list": func(ctx context.Context, keys Keys, _ []idempotency.ID, asked keysRequest) (any, error) {
			return listKeys(ctx, keys, asked)
		},
		"accept-reset": func(ctx context.Context, keys Keys, _ []idempotency.ID, _ keysRequest) (any, error) {
			return struct{}{}, keys.AcceptReset(ctx)
		},
	}
}

func serveKeys(w http.ResponseWriter, r *http.Request, controller Controller, do keysCall) {
	var asked keysRequest
	if !readJSON(w, r, &asked) {
		return
	}
	ids := make([]idempotency.ID, len(asked.IDs))
	for i, id := range asked.IDs {
		if len(id) != len(ids[i]) {
			writeError(w, http.StatusBadRequest, fmt.Errorf("a key's identity has %d bytes", len(ids[i])))
			return
		}
		copy(ids[i][:], id)
	}
	keys, err := controller.Keys()
	var answer any
	if err == nil {
		answer, err = do(r.Context(), keys, ids, asked)
	}
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// maxBody is far above what any command sends.
const maxBody = 1 << 20

// readJSON decodes the request's body into v, strictly. Where it can't, it
// answers so and returns false.
func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return false
	}
	return true
}

// writeJSON answers with v, which must marshal.
func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// writeError answers with err's message, which a Client returns as a
// *ResponseError.
func writeError(w http.ResponseWriter, code int, err error) {
	writeJSON(w, code, errorBody{Error: err.Error()})
}

type errorBody struct {
	Error string `json:"error"`
}
