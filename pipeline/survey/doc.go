// Package survey looks at what a plan needs of the world, for `validate --connect`: brokers,
// topics, groups, the key store and the sinks' systems. It writes nothing anywhere.
package survey
