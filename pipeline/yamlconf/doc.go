// Package yamlconf decodes YAML into config structs, strictly: it reports every
// unknown or repeated key, wrong type, missing value and malformed duration at
// once, each with its place in the file. The same structs make the JSON Schema.
//
// The fields of a config struct carry the tags described at handlers.Spec and,
// beyond them:
//
//	min:"1" max:"9"    bounds of a number, duration, size or rate, in its notation
//	secret:"url"       the text is secret where it has a user or password in it
//	fold:"true"        an enum's value may be written in any case
//	path:"true"        the text is a file's path, relative to the configuration's
//	                   folder
//	text:"topic"       what the text is, of which the JSON Schema knows how it
//	                   looks, and which is checked where it is compiled: name,
//	                   topic, address, urlpath, store
//	noschema:"true"    the field is left out of the JSON Schema
//
// A field whose pointer implements Custom decodes itself. All static fields may
// be written as templates of `env` and `file(...)`, which are rendered before
// the value is converted; Template and Expression fields keep their source, and
// Walk finds them for compiling.
package yamlconf
