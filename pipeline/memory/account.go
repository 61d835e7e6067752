// Package memory keeps account of the bytes that come from outside: who wants to
// hold some takes them first and waits where there are none, so that what many send
// at once costs time and never the process.
package memory

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Account is a fixed number of bytes that takers share, first come, first served.
// It is safe for concurrent use. A nil Account is without a limit.
//
// Whoever holds bytes of an account must be able to give them back without taking
// more of the same account: else two takers could wait for each other for ever.
type Account struct {
	size  int64
	bytes *semaphore.Weighted
	used  atomic.Int64
}

// NewAccount makes an account of size bytes.
func NewAccount(size int64) *Account {
	return &Account{size: size, bytes: semaphore.NewWeighted(size)}
}

// Size is how many bytes there are, 0 where there is no limit.
func (a *Account) Size() int64 {
	if a == nil {
		return 0
	}
	return a.size
}

// Used is how many bytes are taken.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	return a.used.Load()
}

// Take waits until n bytes are free, or ctx ends, whose error it returns then. Who
// wants more than there are gets all of them, and so is alone. give returns the
// bytes, and does so once however often it is called.
func (a *Account) Take(ctx context.Context, n int64) (give func(), err error) {
	if a == nil || n <= 0 {
		return func() {}, nil
	}
	n = min(n, a.size)
	if err := a.bytes.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return a.taken(n), nil
}

// TryTake is Take without waiting: ok tells whether there were n bytes.
func (a *Account) TryTake(n int64) (give func(), ok bool) {
	if a == nil || n <= 0 {
		return func() {}, true
	}
	n = min(n, a.size)
	if !a.bytes.TryAcquire(n) {
		return nil, false
	}
	return a.taken(n), true
}

func (a *Account) taken(n int64) (give func()) {
	a.used.Add(n)
	return sync.OnceFunc(func() {
		a.used.Add(-n)
		a.bytes.Release(n)
	})
}
