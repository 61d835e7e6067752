package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// Reader looks keys up in Redis and writes nothing there, not even the count of
// batches that a Store keeps, so that it works on one that is full. It may be used
// concurrently.
type Reader struct {
	client  rueidis.Client
	prefix  string
	address string
}

// OpenReader connects to the Redis at a URL, as Open takes it. An error never
// holds the URL's password. The caller closes the reader.
func OpenReader(address string) (*Reader, error) {
	option, prefix, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	at := strings.Join(option.InitAddress, ",")
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, fmt.Errorf("open key store on redis at %s: %w", at, err)
	}
	return &Reader{client: client, prefix: prefix, address: at}, nil
}

// Get returns the row of each key that has not expired, nil where there is none,
// and the time on Redis's clock.
func (r *Reader) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, time.Time, error) {
	now, err := timeOf(ctx, r.client)
	if err != nil {
		return nil, now, fmt.Errorf("look up keys on redis at %s: %w", r.address, err)
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = r.prefix + "k:" + id.External()
	}
	rows, err := readRows(ctx, r.client, names, now)
	if err != nil {
		return nil, now, fmt.Errorf("look up keys on redis at %s: %w", r.address, err)
	}
	return rows, now, nil
}

// readRows reads the rows of keys by their names, nil where there is none that is
// alive. Where PEXPIRETIME is not allowed, the times of a claim are bounds.
func readRows(ctx context.Context, client rueidis.Client, names []string, now time.Time) ([]*idempotency.Row, error) {
	rows := make([]*idempotency.Row, len(names))
	if len(names) == 0 {
		return rows, nil
	}
	commands := make(rueidis.Commands, len(names))
	for i, name := range names {
		commands[i] = client.B().Get().Key(name).Build()
	}
	var plain []int
	var ends rueidis.Commands
	for i, said := range client.DoMulti(ctx, commands...) {
		raw, err := said.ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		if err == nil {
			rows[i], err = unpack(raw)
		}
		if err != nil {
			return nil, err
		}
		if isPlain(raw) {
			plain = append(plain, i)
			ends = append(ends, client.B().Arbitrary("PEXPIRETIME").Keys(names[i]).Build())
		}
	}
	if len(plain) > 0 {
		for i, said := range client.DoMulti(ctx, ends...) {
			if at, err := said.AsInt64(); err == nil {
				taken(rows[plain[i]], at)
			} else if said.NonRedisError() != nil {
				return nil, err
			}
		}
	}
	for i, row := range rows {
		rows[i] = idempotency.Alive(row, now)
	}
	return rows, nil
}

// Delete forgets keys, whatever their state, and tells which there were. It needs
// no memory, and so gives some back on a Redis that is full.
func (r *Reader) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	were := make([]bool, len(ids))
	for i, id := range ids {
		n, err := r.client.Do(ctx, r.client.B().Del().Key(r.prefix+"k:"+id.External()).Build()).AsInt64()
		if err != nil {
			return nil, fmt.Errorf("delete keys on redis at %s: %w", r.address, err)
		}
		were[i] = n > 0
	}
	return were, nil
}

// timeOf is the time on a Redis's clock.
func timeOf(ctx context.Context, client rueidis.Client) (time.Time, error) {
	parts, err := client.Do(ctx, client.B().Time().Build()).AsIntSlice()
	if err == nil && len(parts) != 2 {
		err = fmt.Errorf("TIME answers with %d values, want 2", len(parts))
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(parts[0], parts[1]*int64(time.Microsecond)).UTC(), nil
}

// Close ends the connections.
func (r *Reader) Close() error {
	r.client.Close()
	return nil
}
