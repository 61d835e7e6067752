package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// State is what can be seen of a Redis without writing to it.
type State struct {
	// Address is where it was reached, without what is secret.
	Address string
	// Policy is its maxmemory-policy, empty where it does not tell.
	Policy string
	// ReadOnly tells that it is a replica, which takes no writes.
	ReadOnly bool
	// Epoch is the memory that it has, empty where no key store was ever on it;
	// Accepted is the one that a person accepted last.
	Epoch, Accepted string
	// Count is how far the epoch's counter is.
	Count int64
}

// Look connects to the Redis of a URL, as Open takes it, and reads what it is.
// It writes nothing, also where no key store was ever on it, and returns when
// ctx's deadline has passed. An error never holds the URL's password.
func Look(ctx context.Context, address string) (State, error) {
	option, prefix, err := parse(address)
	if err != nil {
		return State{}, err
	}
	state := State{Address: strings.Join(option.InitAddress, ",")}
	if until, ok := ctx.Deadline(); ok {
		// The library connects without a context.
		left := max(time.Until(until), time.Millisecond)
		option.Dialer.Timeout, option.ConnWriteTimeout = left, left
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		return state, fmt.Errorf("reach redis at %s: %w", state.Address, err)
	}
	defer client.Close()
	s := &Store{client: client}
	info, err := client.Do(ctx, client.B().Info().Build()).ToString()
	if err != nil {
		return state, fmt.Errorf("read the settings of redis at %s: %w", state.Address, err)
	}
	state.ReadOnly = infoField(info, "role") == "slave"
	if state.Policy = infoField(info, "maxmemory_policy"); state.Policy == "" {
		state.Policy = s.setting(ctx, "maxmemory-policy")
	}
	for field, into := range map[string]*string{"id": &state.Epoch, "accepted": &state.Accepted} {
		text, err := client.Do(ctx, client.B().Hget().Key(prefix+"epoch").Field(field).Build()).ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return state, fmt.Errorf("read the epoch of redis at %s: %w", state.Address, err)
		}
		*into = text
	}
	count, err := client.Do(ctx, client.B().Hget().Key(prefix+"epoch").Field("n").Build()).AsInt64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return state, fmt.Errorf("read the epoch of redis at %s: %w", state.Address, err)
	}
	state.Count = count
	return state, nil
}
