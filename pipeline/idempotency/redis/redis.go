// Package redis keeps idempotency keys in a Redis that several processes share.
// How durable they are is what that Redis is set to; opening the store logs it.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/redis/rueidis"
)

// DefaultPrefix begins the names of all keys in Redis, where the URL does not
// say otherwise.
const DefaultPrefix = "millrace:"

// Options are how a store is used.
type Options struct {
	// Logger hears of the store's durability and of lost memory.
	Logger *slog.Logger
	// AllowEviction opens a Redis that may evict keys.
	AllowEviction bool
	// ContinueAfterReset goes on when the store lost its memory, with a log
	// entry; otherwise calls return an *idempotency.ResetError until a person
	// accepts the loss.
	ContinueAfterReset bool
	// OnReset, where set, is told of each loss, also where the store goes on.
	// It must not block.
	OnReset func(*idempotency.ResetError)
	// Epoch is the store's epoch as it was last known, empty where it was not.
	Epoch string
}

// EvictionError says that the Redis may drop keys that are still needed.
type EvictionError struct{ Policy string }

// Error names the policy and what can be done.
func (e *EvictionError) Error() string {
	return fmt.Sprintf("its maxmemory-policy is %s, so it may evict keys and their effects would be repeated: set it "+
		"to noeviction, or idempotency.allow_eviction to true", e.Policy)
}

// Store is an idempotency.Store, Inspector, Resetter and Lister on Redis. It may be
// used concurrently. Every call but List is one round trip, or two where a claim
// or a confirm meets what is rare; nothing is repeated by itself.
type Store struct {
	client rueidis.Client
	opts   Options
	prefix string
	// rows, confirms and epochs are the scripts of a key, of confirms and of the
	// epoch.
	rows, confirms, epochs *script
	able                   ability
	// skew moves the store's clock, for tests.
	skew atomic.Int64

	clock clock

	mu sync.Mutex
	// known is the epoch as this process knows it, seen the highest counter
	// that came back with it.
	known string
	seen  int64
	// doubts are epochs that others recorded effects under, to be compared with
	// the store's before anything else is asked of it.
	doubts []string
	reset  *idempotency.ResetError
}

var (
	_ idempotency.Store     = (*Store)(nil)
	_ idempotency.Inspector = (*Store)(nil)
	_ idempotency.Resetter  = (*Store)(nil)
	_ idempotency.Lister    = (*Store)(nil)
)

// Open connects to the Redis at a redis:// or rediss:// URL, whose path is the
// database's number; prefix= in its query takes the place of DefaultPrefix. It
// fails where Redis may evict keys, with an *EvictionError, unless that is
// allowed. An error never holds the URL's password. The caller closes the store.
func Open(ctx context.Context, address string, opts Options) (*Store, error) {
	option, prefix, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		return nil, fmt.Errorf("open key store on redis at %s: %w", strings.Join(option.InitAddress, ","), err)
	}
	s := &Store{
		client: client, opts: opts, prefix: prefix, known: opts.Epoch,
		rows: newScript(rowText), confirms: newScript(confirmText), epochs: newScript(epochText),
	}
	err = errors.Join(s.checkSettings(ctx), s.begin(ctx))
	if err == nil {
		err = s.learn(ctx)
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("open key store on redis at %s: %w", strings.Join(option.InitAddress, ","), err)
	}
	return s, nil
}

// Close ends the connections. Calls under way return an error.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}

// CheckURL tells whether Open can use an address, without connecting. Its error
// leaves out what may be secret.
func CheckURL(address string) error {
	_, _, err := parse(address)
	return err
}

// Unsafe tells of an address that Open can use whether a password would go to
// another machine without TLS, and whether nobody checks who answers.
func Unsafe(address string) (cleartext, unverified bool) {
	option, _, err := parse(address)
	if err != nil {
		return false, false
	}
	if option.TLSConfig != nil {
		return false, option.TLSConfig.InsecureSkipVerify
	}
	elsewhere := slices.ContainsFunc(option.InitAddress, func(a string) bool {
		host, _, err := net.SplitHostPort(a)
		return err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback()
	})
	return option.Password != "" && elsewhere, false
}

// checkSettings refuses a Redis that evicts and logs how durable it is. A
// setting that the server does not show is left out.
func (s *Store) checkSettings(ctx context.Context) error {
	info, err := s.client.Do(ctx, s.client.B().Info().Build()).ToString()
	if err != nil {
		return fmt.Errorf("read its settings: %w", err)
	}
	policy := infoField(info, "maxmemory_policy")
	if policy == "" {
		policy = s.setting(ctx, "maxmemory-policy")
	}
	switch {
	case policy == "":
		s.opts.Logger.Warn("key store: redis does not tell its maxmemory-policy, make sure that it is noeviction")
	case policy != "noeviction" && !s.opts.AllowEviction:
		return &EvictionError{Policy: policy}
	case policy != "noeviction":
		s.opts.Logger.Warn("key store: redis may evict keys, their effects may then be repeated", "maxmemory_policy",
			policy)
	}
	s.opts.Logger.Info("key store: as durable as redis is set to be",
		"appendonly", infoField(info, "aof_enabled") == "1",
		"appendfsync", s.setting(ctx, "appendfsync"),
		"min_replicas_to_write", s.setting(ctx, "min-replicas-to-write"))
	return nil
}

// setting asks for a setting, empty where the server keeps it to itself.
func (s *Store) setting(ctx context.Context, name string) string {
	found, err := s.client.Do(ctx, s.client.B().ConfigGet().Parameter(name).Build()).AsStrMap()
	if err != nil {
		return ""
	}
	return found[name]
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}

// Extend moves the deadlines of held claims.
func (s *Store) Extend(ctx context.Context, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	return s.states(ctx, "extend", claims)
}

// Settle releases or parks claims.
func (s *Store) Settle(ctx context.Context, claims []idempotency.Claim,
	as idempotency.Settlement) ([]idempotency.TokenState, error) {
	if as == idempotency.Released {
		return s.states(ctx, "release", claims)
	}
	return s.states(ctx, "park", claims)
}

func (s *Store) states(ctx context.Context, op string, claims []idempotency.Claim) ([]idempotency.TokenState, error) {
	states := make([]idempotency.TokenState, len(claims))
	err := s.batch(ctx, s.each(op, claims), byRow(func(i int, said int64, _ *idempotency.Row) {
		states[i] = idempotency.TokenState(said)
	}))
	if err != nil {
		return nil, fmt.Errorf("%s claims: %w", op, err)
	}
	return states, nil
}

// Get returns the row of each key, nil where there is none.
func (s *Store) Get(ctx context.Context, ids []idempotency.ID) ([]*idempotency.Row, error) {
	rows := make([]*idempotency.Row, len(ids))
	err := s.batch(ctx, s.bare("get", ids), byRow(func(i int, _ int64, row *idempotency.Row) { rows[i] = row }))
	if err != nil {
		return nil, fmt.Errorf("look up keys: %w", err)
	}
	return rows, nil
}

// Delete forgets keys, whatever their state.
func (s *Store) Delete(ctx context.Context, ids []idempotency.ID) ([]bool, error) {
	were := make([]bool, len(ids))
	said := byRow(func(i int, said int64, _ *idempotency.Row) { were[i] = said == 1 })
	err := s.batch(ctx, s.bare("delete", ids), said)
	if err != nil {
		return nil, fmt.Errorf("delete keys: %w", err)
	}
	return were, nil
}

// each makes one call for each claim.
func (s *Store) each(op string, claims []idempotency.Claim) []call {
	calls := make([]call, len(claims), len(claims)+1)
	skew := strconv.FormatInt(s.skew.Load(), 10)
	for i := range claims {
		calls[i] = s.call(op, &claims[i], skew)
	}
	return calls
}

// bare makes calls that need no more than the key.
func (s *Store) bare(op string, ids []idempotency.ID) []call {
	claims := make([]idempotency.Claim, len(ids))
	for i, id := range ids {
		claims[i].ID = id
	}
	return s.each(op, claims)
}

func micros(d time.Duration) string {
	return strconv.FormatInt(microsOf(d), 10)
}
