package preview

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
	"github.com/millrace/millrace/pipeline/idempotency"
)

// keptWithin bounds how long a sink is asked for the keys that it keeps.
const keptWithin = 10 * time.Second

// Kept asks those sinks of a pipeline, by its index, that keep the keys of their effects
// themselves, what they know of an effect each, by the sink's name. Of one that knows
// nothing it is nil; sinks that keep no keys are missing.
func (p *Preview) Kept(ctx context.Context, pipeline int,
	effects map[string]idempotency.ID) (map[string]*handlers.Kept, error) {
	return p.flows[pipeline].kept(ctx, effects)
}

func (f *flow) kept(ctx context.Context, effects map[string]idempotency.ID) (map[string]*handlers.Kept, error) {
	all := map[string]*handlers.Kept{}
	for i, sink := range f.open {
		keeper, ok := sink.(handlers.Keeper)
		id, asked := effects[f.sinks[i].Name]
		if !ok || !asked {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, keptWithin)
		kept, err := keeper.Kept(limited, [][32]byte{id})
		cancel()
		if err == nil && len(kept) != 1 {
			err = fmt.Errorf("it answered for %d keys of 1", len(kept))
		}
		if err != nil {
			return nil, fmt.Errorf("ask sink %q for the key that it keeps: %w", f.sinks[i].Name, err)
		}
		all[f.sinks[i].Name] = kept[0]
	}
	return all, nil
}

// addKept fills in what sinks know of keys that they keep themselves.
func (f *flow) addKept(ctx context.Context, keys []KeyState, dec *decide.Decision) error {
	effects := map[string]idempotency.ID{}
	for _, k := range keys {
		effects[k.Sink] = idempotency.Identity(f.plan.Name, k.Sink, k.Generation, dec.Key)
	}
	kept, err := f.kept(ctx, effects)
	for i := range keys {
		at := &keys[i]
		at.Kept, at.Keeps = kept[at.Sink]
	}
	return err
}

// KeptText says what a sink that keeps its own keys knows of one.
func KeptText(k *handlers.Kept) string {
	switch {
	case k == nil:
		return "nothing of this key"
	case k.Parked:
		return "parked " + timeText(k.At) + ": the effect may have happened; remembered until " + timeText(k.Expires)
	case k.Answer != "":
		return "done " + timeText(k.At) + ", the sink answered " + valueText(k.Answer) + "; remembered until " +
			timeText(k.Expires)
	}
	return "done " + timeText(k.At) + "; remembered until " + timeText(k.Expires)
}

// KeptJSON is what a machine reads of it.
type KeptJSON struct {
	State   string    `json:"state"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	Answer  string    `json:"answer,omitempty"`
}

// NewKeptJSON is nil where nothing is known.
func NewKeptJSON(k *handlers.Kept) *KeptJSON {
	if k == nil {
		return nil
	}
	state := idempotency.Confirmed
	if k.Parked {
		state = idempotency.ParkedState
	}
	return &KeptJSON{state.String(), k.At, k.Expires, k.Answer}
}
