package pipeline

import (
	"context"
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
