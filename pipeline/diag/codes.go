package diag

// Code is the stable name of a kind of problem. A code is never used again for
// another meaning. MR020 to MR059 belong to package expression.
type Code string

// Problems of reading a file and of its shape.
const (
	// CodeUnreadable is a file that can't be read.
	CodeUnreadable Code = "MR001"
	// CodeTooLarge is a file that is too long, too deep, or whose aliases
	// expand to too much.
	CodeTooLarge Code = "MR002"
	// CodeSyntax is a file that is not YAML.
	CodeSyntax Code = "MR003"
	// CodeUnknownKey is a key that has no meaning where it stands.
	CodeUnknownKey Code = "MR004"
	// CodeRepeated is a key or a name that was used before.
	CodeRepeated Code = "MR005"
	// CodeType is a value of another type than its key takes.
	CodeType Code = "MR006"
	// CodeChoice is a value that is none of those its key takes.
	CodeChoice Code = "MR007"
	// CodeMalformed is a value that can't be read, such as a duration.
	CodeMalformed Code = "MR008"
	// CodeRange is a value that is too small or too large.
	CodeRange Code = "MR009"
	// CodeRequired is a key that must be written and is not.
	CodeRequired Code = "MR010"
	// CodeEaten is an expression of which YAML itself took a part: a tag, a
	// comment, a quoted beginning, the end of a list.
	CodeEaten Code = "MR011"
	// CodeEmpty is an expression, template or other value that is empty.
	CodeEmpty Code = "MR012"
	// CodeSecondDocument is a second YAML document in one file.
	CodeSecondDocument Code = "MR013"
	// CodeNotAvailable is part of the configuration language that this version
	// can't run.
	CodeNotAvailable Code = "MR014"
	// CodeNotRun is part of the configuration that this version ignores.
	CodeNotRun Code = "MR015"
	// CodeTwoFiles is a block that stands in more than one file.
	CodeTwoFiles Code = "MR016"
	// CodeNothing is a configuration without anything to run.
	CodeNothing Code = "MR017"
	// CodeBadKey is a key that is not text, or is too long.
	CodeBadKey Code = "MR018"
)

// Problems of what a configuration means.
const (
	// CodeName is a name of a pipeline or sink that is not allowed.
	CodeName Code = "MR060"
	// CodeTopicName is a topic name that Kafka would refuse, or that is not for
	// the records of a pipeline.
	CodeTopicName Code = "MR061"
	// CodeExclusive is more than one, or none, of keys that exclude each other.
	CodeExclusive Code = "MR062"
	// CodeGroup is a consumer group that two pipelines share.
	CodeGroup Code = "MR063"
	// CodeSink is an entry of a list of sinks that does not name one handler.
	CodeSink Code = "MR065"
	// CodeSinkName is a sink's name that another sink of the pipeline has.
	CodeSinkName Code = "MR066"
	// CodeLoop is a pipeline that reads what it writes.
	CodeLoop Code = "MR068"
	// CodeStore is a store that must be written and is not.
	CodeStore Code = "MR069"
	// CodeStoreEmbedded is an embedded store beside a cluster.
	CodeStoreEmbedded Code = "MR070"
	// CodeIngest is an ingest route that can't work.
	CodeIngest Code = "MR071"
	// CodeUnreadTopic is a topic that nothing reads.
	CodeUnreadTopic Code = "MR072"
	// CodeAddressTaken is an address that two listeners of the file want.
	CodeAddressTaken Code = "MR073"
	// CodeSchemaFile is a topic's JSON Schema that is missing or wrong.
	CodeSchemaFile Code = "MR074"
	// CodeLifetime is a time to live that does not fit a lease or a retention.
	CodeLifetime Code = "MR075"
	// CodeUnreachable is a route that no record can reach.
	CodeUnreachable Code = "MR076"
	// CodeHandler is what a sink's own checks found.
	CodeHandler Code = "MR077"
	// CodeLongLoop is a loop through several pipelines.
	CodeLongLoop Code = "MR078"
	// CodeCertificate is a certificate or key that is missing or wrong.
	CodeCertificate Code = "MR079"
	// CodeCleartext is a secret that travels unencrypted.
	CodeCleartext Code = "MR080"
	// CodeCostly is a number that costs more than it is likely to bring.
	CodeCostly Code = "MR081"
	// CodeOpenIngest is an ingest listener that others than this machine reach.
	CodeOpenIngest Code = "MR082"
	// CodeUnverified is a server whose certificate nobody checks.
	CodeUnverified Code = "MR085"
	// CodeTest is a test that asks for what its pipeline does not have, or whose
	// expectations are not one a record.
	CodeTest Code = "MR090"
)
