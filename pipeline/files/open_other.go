//go:build !unix

package files

const noBlock = 0
