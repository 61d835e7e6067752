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
	size int64
	// bytes are most bytes for who wants more than littleMost; little is for the
	// others, nil where all are alike.
	bytes, little    *semaphore.Weighted
	most, littleMost int64
	used             atomic.Int64
}

// NewAccount makes an account of size bytes.
func NewAccount(size int64) *Account {
	return &Account{size: size, bytes: semaphore.NewWeighted(size), most: size}
}

const (
	// littlePart of an account is for those who want little, and littleShare of that
	// is how much that may be.
	littlePart, littleShare = 8, 16
)

// NewTieredAccount makes an account of size bytes of which a part is for those who want
// little: they never wait for those who want much.
func NewTieredAccount(size int64) *Account {
	little := size / littlePart
	return &Account{
		size: size, bytes: semaphore.NewWeighted(size - little), most: size - little,
		little: semaphore.NewWeighted(little), littleMost: little / littleShare,
	}
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
	from, n := a.from(n)
	if err := from.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return a.taken(from, n), nil
}

// from is where n bytes are taken from, and how many of them.
func (a *Account) from(n int64) (*semaphore.Weighted, int64) {
	if a.little != nil && n <= a.littleMost {
		return a.little, n
	}
	return a.bytes, min(n, a.most)
}

// TryTake is Take without waiting: ok tells whether there were n bytes.
func (a *Account) TryTake(n int64) (give func(), ok bool) {
	if a == nil || n <= 0 {
		return func() {}, true
	}
	from, n := a.from(n)
	if !from.TryAcquire(n) {
		return nil, false
	}
	return a.taken(from, n), true
}

func (a *Account) taken(from *semaphore.Weighted, n int64) (give func()) {
	a.used.Add(n)
	return sync.OnceFunc(func() {
		a.used.Add(-n)
		from.Release(n)
	})
}
