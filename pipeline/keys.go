package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/millrace/millrace/pipeline/admin"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// Keys is what a person may do with idempotency keys, wherever they live. A
// KeyStore is one, and RemoteKeys.
type Keys interface {
	// Get returns the row of each key, nil where there is none.
	Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error)
	// Delete forgets keys, and tells which there were.
	Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error)
	// AcceptReset takes the store's memory as it is now.
	AcceptReset(ctx context.Context) error
}

// RemoteKeys are the keys of another process, asked through its control socket.
type RemoteKeys struct{ client *admin.Client }

// NewRemoteKeys makes Keys of a process that holds the embedded key store. The
// client stays the caller's.
func NewRemoteKeys(client *admin.Client) *RemoteKeys { return &RemoteKeys{client} }

type keysRequest struct {
	IDs [][]byte `json:"ids"`
}

// Get asks for rows.
func (k *RemoteKeys) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	var encoded [][]byte
	if err := k.client.Do(ctx, http.MethodPost, "/keys/get", requestOf(ids), &encoded); err != nil {
		return nil, fmt.Errorf("look up keys in the running process: %w", err)
	}
	if len(encoded) != len(ids) {
		return nil, fmt.Errorf("look up keys in the running process: it answered for %d keys of %d", len(encoded), len(ids))
	}
	rows := make([]*idempotency.Row, len(ids))
	for i, text := range encoded {
		if text == nil {
			continue
		}
		var err error
		if rows[i], err = idempotency.Decode(text); err != nil {
			return nil, fmt.Errorf("look up keys in the running process: %w", err)
		}
	}
	return rows, nil
}

// Delete asks the process to forget keys.
func (k *RemoteKeys) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	var were []bool
	if err := k.client.Do(ctx, http.MethodPost, "/keys/delete", requestOf(ids), &were); err != nil {
		return nil, fmt.Errorf("delete keys in the running process: %w", err)
	}
	return were, nil
}

// AcceptReset asks the process to take its store's memory as it is.
func (k *RemoteKeys) AcceptReset(ctx context.Context) error {
	if err := k.client.Do(ctx, http.MethodPost, "/keys/accept-reset", nil, nil); err != nil {
		return fmt.Errorf("accept the reset in the running process: %w", err)
	}
	return nil
}

func requestOf(ids []idempotency.ID) keysRequest {
	var request keysRequest
	for i := range ids {
		request.IDs = append(request.IDs, ids[i][:])
	}
	return request
}

// errNoStore is the answer while the key store is waited for.
var errNoStore = errors.New("the key store is not open yet")

// keysHandlers are what the control socket answers about keys.
func (r *Runner) keysHandlers() map[string]http.Handler {
	if !r.needsKeys() {
		return nil
	}
	return map[string]http.Handler{
		"POST /keys/get": r.keysHandler(func(ctx context.Context, store KeyStore, ids []idempotency.ID) (any, error) {
			rows, err := store.Get(ctx, ids)
			encoded := make([][]byte, len(rows))
			for i, row := range rows {
				if row != nil {
					encoded[i] = idempotency.Encode(row)
				}
			}
			return encoded, err
		}),
		"POST /keys/delete": r.keysHandler(func(ctx context.Context, store KeyStore, ids []idempotency.ID) (any, error) {
			return store.Delete(ctx, ids)
		}),
		"POST /keys/accept-reset": http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			err := errNoStore
			if store := r.keyStore(); store != nil {
				err = store.AcceptReset(request.Context())
			}
			if err != nil {
				admin.WriteError(w, http.StatusServiceUnavailable, err)
				return
			}
			admin.WriteJSON(w, http.StatusOK, struct{}{})
		}),
	}
}

func (r *Runner) keysHandler(do func(context.Context, KeyStore, []idempotency.ID) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var asked keysRequest
		if !admin.ReadJSON(w, request, &asked) {
			return
		}
		ids := make([]idempotency.ID, len(asked.IDs))
		for i, id := range asked.IDs {
			if len(id) != len(ids[i]) {
				admin.WriteError(w, http.StatusBadRequest, errors.New("a key's identity has 32 bytes"))
				return
			}
			copy(ids[i][:], id)
		}
		var answer any
		err := errNoStore
		if store := r.keyStore(); store != nil {
			answer, err = do(request.Context(), store, ids)
		}
		if err != nil {
			admin.WriteError(w, http.StatusServiceUnavailable, err)
			return
		}
		admin.WriteJSON(w, http.StatusOK, answer)
	})
}
