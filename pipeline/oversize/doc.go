// Package oversize says how large a record may be, and what stands for the parts of one that is
// larger: they are never held.
package oversize
