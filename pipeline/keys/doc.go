// Package keys opens key stores as the process and the commands need them: to guard effects by,
// or to look into, beside a process that holds them or through it.
package keys
