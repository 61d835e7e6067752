package config

import "github.com/millrace/millrace/pipeline/yamlconf"

// spellings are the keys of other tools, in small letters, and what they are
// called here.
func spellings() yamlconf.Spellings {
	s := yamlconf.Spellings{}
	for here, there := range map[string][]string{
		"brokers": {"bootstrap_servers", "bootstrap.servers", "bootstrapservers", "broker", "addresses",
			"seed_brokers"},
		"source":           {"input", "inputs", "consumer", "from", "sources", "subscribe"},
		"sinks":            {"output", "outputs", "producer", "to", "handlers", "handler", "destinations", "publish"},
		"group":            {"group_id", "group.id", "groupid", "consumer_group", "consumergroup"},
		"start":            {"auto_offset_reset", "auto.offset.reset", "start_from", "offset_reset", "from_beginning"},
		"filter":           {"if", "condition", "where", "predicate", "check"},
		"when":             {"if", "condition", "match", "case"},
		"transform":        {"map", "mapping", "processors", "processor"},
		"lanes":            {"workers", "threads", "parallelism", "max_in_flight", "concurrency"},
		"dead_letter":      {"dlq", "dead_letter_queue", "dead_letter_topic", "deadletterqueue", "dlt", "error_topic"},
		"idempotency":      {"dedupe", "dedup", "deduplicate", "deduplication"},
		"attempts":         {"max_retries", "retries", "max_attempts", "maxattempts"},
		"initial":          {"backoff", "initial_interval", "delay", "initial_backoff"},
		"max":              {"max_interval", "max_backoff", "max_elapsed_time", "cap"},
		"replication":      {"replication_factor", "replicas", "replicationfactor"},
		"partitions":       {"num_partitions", "partition_count"},
		"cleanup":          {"cleanup_policy", "cleanup.policy"},
		"retention":        {"retention_ms", "retention.ms"},
		"rate_limit":       {"ratelimit", "throttle", "rate"},
		"format":           {"codec", "encoding", "decoder"},
		"session_timeout":  {"session.timeout.ms", "session_timeout_ms"},
		"commit_interval":  {"auto_commit_interval", "commit_period", "auto.commit.interval.ms"},
		"max_record_bytes": {"max_message_bytes", "max.message.bytes"},
		"url":              {"endpoint", "uri", "address"},
		"headers":          {"header"},
		"timeout":          {"request_timeout", "deadline"},
		"description":      {"desc", "comment"},
	} {
		for _, name := range there {
			if _, ok := s[name]; !ok || here == "filter" {
				s[name] = here
			}
		}
	}
	return s
}
