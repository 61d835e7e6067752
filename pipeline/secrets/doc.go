// Package secrets takes what is secret out of everything that people read: one [Redactor], made
// where a configuration is compiled, is the only way out.
package secrets
