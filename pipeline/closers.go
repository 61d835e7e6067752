package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// closers are what to close at the end, last opened first.
type closers []closer

type closer struct {
	what  string
	close func(context.Context) error
}

func (c *closers) add(what string, close func(context.Context) error) {
	*c = append(*c, closer{what, close})
}

// leave takes out what must not be closed any more.
func (c *closers) leave(what ...string) {
	*c = slices.DeleteFunc(*c, func(each closer) bool { return slices.Contains(what, each.what) })
}

func (c *closers) close(ctx context.Context) error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		if err := (*c)[i].close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", (*c)[i].what, err))
		}
	}
	return errors.Join(errs...)
}
