package handlers

// What a sink does about a topic that does not exist.
const (
	// MissingPause lets the records of that topic wait for it.
	MissingPause = "pause"
	// MissingCreate makes it.
	MissingCreate = "create"
	// MissingDeadLetter refuses the records.
	MissingDeadLetter = "dead_letter"
)

// TopicPolicy is implemented by producers that can treat a topic that does not
// exist in more than one way.
type TopicPolicy interface {
	// WithMissingTopic is the producer with one of the ways above; "" is what the
	// cluster at hand is used to. It makes no topic that is not declared once the
	// process has made mostNew. What waits for a topic is an Infrastructure failure
	// whose Scope is the topic.
	WithMissingTopic(policy string, mostNew int) Producer
}
