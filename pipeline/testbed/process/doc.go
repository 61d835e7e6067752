// Package process starts a component as a child that ends with its parent, in a folder
// that tells whether it lives, on ports that no other test takes.
package process
