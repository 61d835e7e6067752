package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// MayPass tells whether what kept Open from succeeding may be over later without a
// change of the configuration: a Redis that is not up yet, still loads its data, or
// can't be reached. Refused credentials and settings are none of it.
func MayPass(err error) bool {
	if said, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return slices.ContainsFunc([]string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "BUSY ",
			"ERR max number of clients"},
			func(code string) bool { return strings.HasPrefix(said.Error(), code) })
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
