// Package nodejs runs a YAML language server and Mermaid's parser.
//
// It needs Node.js 18 or newer, and npm until its packages are in the user's cache
// folder.
package nodejs
