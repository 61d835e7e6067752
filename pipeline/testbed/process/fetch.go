//go:build unix

package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// FetchOnce returns a folder of that name that fetch filled, and calls it where
// the folder is not complete or was filled for another list of what to fetch.
func FetchOnce(ctx context.Context, name, list string, fetch func(ctx context.Context, dir string) error) (string,
	error) {
	dir, err := stateDir(name)
	if err != nil {
		return "", err
	}
	complete := filepath.Join(dir, ".complete")
	if isComplete(complete, list) {
		return dir, nil
	}
	lock, err := lockWhenFree(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer lock.Close()
	if isComplete(complete, list) {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.WriteFile(complete, []byte(list), 0o600); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return dir, nil
}

// isComplete tells whether what was fetched is there, and of this list.
func isComplete(marker, list string) bool {
	text, err := os.ReadFile(marker)
	return err == nil && string(text) == list
}

// LastLines is the end of a text, at most n lines of it.
func LastLines(text []byte, n int) []byte {
	text = bytes.TrimRight(text, "\n")
	at := len(text)
	for ; n > 0 && at > 0; n-- {
		at = max(bytes.LastIndexByte(text[:at], '\n'), 0)
	}
	return bytes.TrimLeft(text[at:], "\n")
}
