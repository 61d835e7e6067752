// Package clock is the time that deliveries go by: the machine's, or one on which a
// test's back-off passes at once.
package clock
