// Package certificates makes certificates for tests: right, expired and of another
// authority.
package certificates
