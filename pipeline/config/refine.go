package config

import "slices"

// What the JSON Schema knows beyond the tags of fields. It only refuses what
// compiling refuses as well.

// RefineSchema tells how topics and pipelines are named.
func (Blocks) RefineSchema(schema map[string]any) {
	names := map[string]string{
		"topics":    "^[A-Za-z0-9._-]{1,249}$",
		"pipelines": "^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
	}
	for key, pattern := range names {
		property(schema, key)["propertyNames"] = map[string]any{"pattern": pattern}
	}
}

// RefineSchema tells that there are brokers or the embedded broker, and that the
// embedded one takes no login.
func (Kafka) RefineSchema(schema map[string]any) {
	refuse(schema, required("brokers", "embedded"), "brokers and embedded exclude each other")
	schema["dependencies"] = map[string]any{"tls": []any{"brokers"}, "sasl": []any{"brokers"}}
	property(schema, "brokers")["minItems"] = 1
}

// RefineSchema tells that a certificate and its key are given together.
func (TLS) RefineSchema(schema map[string]any) {
	schema["dependencies"] = map[string]any{"cert": []any{"key"}, "key": []any{"cert"}}
}

// RefineSchema tells what each mechanism needs.
func (SASL) RefineSchema(schema map[string]any) {
	const token, login = "^[oO][aA][uU][tT][hH]", "^[pPsS]"
	schema["allOf"] = []any{mechanismNeeds(token, "token"), mechanismNeeds(login, "username", "password")}
}

func mechanismNeeds(pattern string, keys ...any) map[string]any {
	mechanism := map[string]any{"type": "string", "pattern": pattern}
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{"mechanism": mechanism}, "required": []any{"mechanism"}},
		"then": map[string]any{"required": keys},
	}
}

// RefineSchema leaves out what this version has not.
func (Server) RefineSchema(schema map[string]any) {
	for _, key := range NotAvailable().ServerBlocks {
		delete(schema["properties"].(map[string]any), key)
	}
}

// RefineSchema tells that there is one way to name what is read.
func (Source) RefineSchema(schema map[string]any) {
	exactlyOne(schema, "write one of topic, topics and pattern", "topic", "topics", "pattern")
	property(schema, "topics")["minItems"] = 1
	formats := property(schema, "format")["anyOf"].([]any)[0].(map[string]any)
	formats["enum"] = slices.DeleteFunc(formats["enum"].([]any), func(f any) bool {
		return slices.Contains(NotAvailable().Formats, f.(string))
	})
}

// RefineSchema tells that there are sinks or routes.
func (Pipeline) RefineSchema(schema map[string]any) {
	exactlyOne(schema, "write either sinks or routes", "sinks", "routes")
	property(schema, "sinks")["minItems"] = 1
	property(schema, "routes")["minItems"] = 1
}

func property(schema map[string]any, name string) map[string]any {
	return schema["properties"].(map[string]any)[name].(map[string]any)
}

// exactlyOne refuses maps that have none, or several, of keys.
func exactlyOne(schema map[string]any, message string, keys ...string) {
	var each, pairs []any
	for i, key := range keys {
		each = append(each, required(key))
		for _, other := range keys[i+1:] {
			pairs = append(pairs, required(key, other))
		}
	}
	refuse(schema, map[string]any{"not": map[string]any{"anyOf": each}}, message)
	if len(pairs) > 0 {
		refuse(schema, map[string]any{"anyOf": pairs}, message)
	}
}

// refuse refuses maps that another schema takes, with a message that editors
// show in the place of one about schemas.
func refuse(schema, when map[string]any, message string) {
	all, _ := schema["allOf"].([]any)
	never := map[string]any{"type": "null", "errorMessage": message}
	schema["allOf"] = append(all, map[string]any{"if": when, "then": never})
}

func required(keys ...any) map[string]any { return map[string]any{"required": keys} }
