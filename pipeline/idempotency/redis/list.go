package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// List returns the keys of one step of Redis's own SCAN, which keeps nobody waiting.
// While Redis resizes its table, a key may be listed twice.
func (s *Store) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	now, err := timeOf(ctx, s.client)
	var found idempotency.Listing
	if err == nil {
		found, err = list(ctx, s.client, s.prefix, now.Add(time.Duration(s.skew.Load())*time.Microsecond), from, most)
	}
	if err != nil {
		return found, fmt.Errorf("list keys: %w", err)
	}
	return found, nil
}

// List returns the keys of one step, as that of a Store does.
func (r *Reader) List(ctx context.Context, from string, most int) (idempotency.Listing, error) {
	now, err := timeOf(ctx, r.client)
	var found idempotency.Listing
	if err == nil {
		found, err = list(ctx, r.client, r.prefix, now, from, most)
	}
	if err != nil {
		return found, fmt.Errorf("list keys on redis at %s: %w", r.address, err)
	}
	return found, nil
}

// list does one step on one server: from is its cursor there and the server's
// address. Of a Cluster the servers are gone through by their addresses.
func list(ctx context.Context, client rueidis.Client, prefix string, now time.Time, from string,
	most int) (idempotency.Listing, error) {
	var found idempotency.Listing
	servers, err := masters(ctx, client)
	if err != nil {
		return found, err
	}
	addresses := slices.Sorted(maps.Keys(servers))
	cursor, at := uint64(0), 0
	if from != "" {
		text, address, _ := strings.Cut(from, "@")
		cursor, err = strconv.ParseUint(text, 10, 64)
		if at = slices.Index(addresses, address); err != nil || at < 0 {
			return found, errors.New("the servers of the cluster changed meanwhile: begin anew")
		}
	}
	server := servers[addresses[at]]
	begin := prefix + "k:"
	scanned, err := server.Do(ctx,
		server.B().Scan().Cursor(cursor).Match(literal(begin)+"*").Count(int64(most)).Build()).AsScanEntry()
	if err != nil {
		return found, err
	}
	if found.Keys, err = rowsOf(ctx, client, begin, scanned.Elements, now); err != nil {
		return found, err
	}
	if scanned.Cursor == 0 {
		at++
	}
	if at < len(addresses) {
		found.Next = strconv.FormatUint(scanned.Cursor, 10) + "@" + addresses[at]
		return found, nil
	}
	for _, server := range servers {
		info, err := server.Do(ctx, server.B().Info().Section("memory").Build()).ToString()
		if err != nil {
			return found, err
		}
		used, _ := strconv.ParseInt(infoField(info, "used_memory"), 10, 64)
		found.Bytes += used
	}
	return found, nil
}

// masters are the servers that hold keys, by address.
func masters(ctx context.Context, client rueidis.Client) (map[string]rueidis.Client, error) {
	nodes := client.Nodes()
	if len(nodes) == 1 {
		return nodes, nil
	}
	for address, node := range nodes {
		info, err := node.Do(ctx, node.B().Info().Section("replication").Build()).ToString()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its role: %w", address, err)
		}
		if infoField(info, "role") != "master" {
			delete(nodes, address)
		}
	}
	if len(nodes) == 0 {
		return nil, errors.New("no server of it is a master")
	}
	return nodes, nil
}

// rowsOf reads the rows of keys whose names begin with begin, as far as they are
// there still.
func rowsOf(ctx context.Context, client rueidis.Client, begin string, names []string,
	now time.Time) ([]idempotency.Listed, error) {
	rows, err := readRows(ctx, client, names, now)
	if err != nil {
		return nil, err
	}
	var all []idempotency.Listed
	for i, row := range rows {
		if row != nil {
			all = append(all, idempotency.Listed{External: strings.TrimPrefix(names[i], begin), Row: row})
		}
	}
	return all, nil
}

// literal is text in a pattern of Redis that stands for itself.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}
