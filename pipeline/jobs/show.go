package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
	"github.com/millrace/millrace/pipeline/preview"
)

// Show visits letters by their ids, in the order of these, and what became of each. The
// error tells of those that can't be shown; the others are visited.
func (l *Letters) Show(ctx context.Context, ids []ID, visit func(*Letter) error) error {
	topicID, err := l.topicID(ctx)
	if err != nil {
		return err
	}
	wanted, became := map[ID]bool{}, map[ID]letters.Resolution{}
	for _, id := range ids {
		wanted[id] = true
	}
	err = l.resolutions(ctx, topicID, func(r letters.Resolution, back bool, _ error) {
		id := ID{r.Letter.Partition, r.Letter.Offset}
		if delete(became, id); wanted[id] && !back {
			became[id] = r
		}
	})
	if err != nil {
		return err
	}
	var missing []error
	for _, id := range ids {
		letter, err := l.one(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			missing = append(missing, err)
			continue
		}
		if r, ok := became[id]; ok {
			letter.Resolution = &r
		}
		if err := visit(letter); err != nil {
			return err
		}
	}
	return errors.Join(missing...)
}

func (l *Letters) one(ctx context.Context, id ID) (*Letter, error) {
	topics := preview.Topics{Settings: l.Settings, Admin: l.Admin, Deps: l.Deps, Largest: l.Largest}
	r, err := topics.One(ctx, l.Topic, id.Partition, id.Offset)
	if err != nil {
		return nil, err
	}
	letter, err := letterOf(r)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", l.Topic, id, err)
	}
	if letter.Pipeline != l.Pipeline {
		return nil, fmt.Errorf("%s/%s is a dead letter of pipeline %q", l.Topic, id, letter.Pipeline)
	}
	if letter.Missing != (letters.Missing{}) {
		letter.Where, err = l.whereabouts(ctx, &letter.Record, letter.TopicID)
	}
	return &letter, err
}

// whereabouts says where a record that its letter does not hold whole is found.
func (l *Letters) whereabouts(ctx context.Context, r *handlers.Record, topicID [16]byte) (string, error) {
	gone, err := l.gone(ctx, r, topicID)
	if err != nil {
		return "", err
	}
	if gone != "" {
		return "gone: " + gone, nil
	}
	return "in " + r.Coordinates() + ", for as long as the topic keeps it", nil
}

// gone says why a record that was read from a topic with an id can't be there any more,
// nothing where it can.
func (l *Letters) gone(ctx context.Context, r *handlers.Record, topicID [16]byte) (string, error) {
	there, err := l.Admin.Topics(ctx, r.Topic)
	if err != nil {
		return "", err
	}
	switch {
	case len(there) == 0:
		return "topic " + r.Topic + " does not exist any more", nil
	case topicID != [16]byte{} && there[0].ID != [16]byte{} && topicID != there[0].ID:
		return "topic " + r.Topic + " was made again", nil
	}
	starts, err := l.Admin.StartOffsets(ctx, r.Topic)
	if err != nil {
		return "", err
	}
	ends, err := l.Admin.EndOffsets(ctx, r.Topic)
	if err != nil {
		return "", err
	}
	start, end := starts[r.Topic][r.Partition], ends[r.Topic][r.Partition]
	if r.Offset < start || r.Offset >= end {
		return fmt.Sprintf("the log of %s/%d holds offsets %d to %d", r.Topic, r.Partition, start, end-1), nil
	}
	return "", nil
}
