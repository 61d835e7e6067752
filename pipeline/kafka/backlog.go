package kafka

import (
	"context"
	"sync"
)

// backlog is what one goroutine still has to do, in order. Who adds to it never
// waits.
type backlog[T any] struct {
	mu    sync.Mutex
	tasks []T
	more  chan struct{}
}

func newBacklog[T any]() *backlog[T] { return &backlog[T]{more: make(chan struct{}, 1)} }

// push adds a task, at the front if it is to be the next.
func (b *backlog[T]) push(task T, front bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if front {
		b.tasks = append([]T{task}, b.tasks...)
	} else {
		b.tasks = append(b.tasks, task)
	}
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// next waits for a task; ok is false where ctx ends first.
func (b *backlog[T]) next(ctx context.Context) (task T, ok bool) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if len(b.tasks) > 0 {
			task, b.tasks = b.tasks[0], b.tasks[1:]
			b.mu.Unlock()
			return task, true
		}
		b.mu.Unlock()
		select {
		case <-b.more:
		case <-ctx.Done():
		}
	}
	return task, false
}
