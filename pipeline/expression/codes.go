package expression

// The codes of findings in expressions and templates. They are stable: a code
// keeps its meaning and is never used again for another problem.
const (
	// CodeSyntax: the text is no expression at all.
	CodeSyntax = "MR020"
	// CodeUnknownName: a name that a record does not offer.
	CodeUnknownName = "MR021"
	// CodeUnknownFunction: a function or method that does not exist.
	CodeUnknownFunction = "MR022"
	// CodeArguments: a function called with the wrong number of arguments.
	CodeArguments = "MR023"
	// CodeType: an operator or function that can never take what it is given.
	CodeType = "MR024"
	// CodeImpure: something that is no function of record and configuration.
	CodeImpure = "MR025"
	// CodeRefused: something legal in expr that is refused here for its cost.
	CodeRefused = "MR026"
	// CodeTooLarge: a source over 8 KiB or of more than 1,000 nodes.
	CodeTooLarge = "MR027"
	// CodeUnset: an environment variable that is not set and has no default.
	CodeUnset = "MR028"
	// CodeFile: a file of file(...) that cannot be read.
	CodeFile = "MR029"
	// CodeCondition: a filter or a when that can never be true or false.
	CodeCondition = "MR030"
	// CodeNotConstant: something that must be constant and is not.
	CodeNotConstant = "MR031"
	// CodeEmpty: an empty expression or an empty ${}.
	CodeEmpty = "MR032"
	// CodePattern: a regular expression that cannot be read.
	CodePattern = "MR033"
	// CodeConstantFails: a constant part that always fails, such as 1 / 0.
	CodeConstantFails = "MR034"
	// CodeNotOffered: a name that exists, but not here or not in this format.
	CodeNotOffered = "MR035"
	// CodeUnknownField: a field that the topic's schema, or transform, does not
	// know.
	CodeUnknownField = "MR036"
	// CodeNeverEqual: two sides that can never be equal.
	CodeNeverEqual = "MR037"
	// CodeNeverTrue: a comparison that no value can fulfil.
	CodeNeverTrue = "MR038"
	// CodeConstantCondition: a filter that does not depend on the record.
	CodeConstantCondition = "MR039"
	// CodeTemplate: a ${ that is never closed.
	CodeTemplate = "MR040"
	// CodeShellVariable: ${NAME} as a shell would write it.
	CodeShellVariable = "MR041"
	// CodeConstantKey: an idempotency key without any part of the record.
	CodeConstantKey = "MR042"
	// CodeURLHost: a part of the record in the scheme or the host of a URL. It
	// is legal where the sink lists the hosts that it may be.
	CodeURLHost = "MR043"
	// CodeTopicName: a topic name, or text in one, that Kafka refuses.
	CodeTopicName = "MR044"
	// CodeStatic: a part of a record where only env and file(...) may be used.
	CodeStatic = "MR045"
	// CodeNullPart: a part of a template that is always null, or a part of a
	// key that is always empty.
	CodeNullPart = "MR046"
	// CodeTemplateText: text in a template that looks like a part of the record.
	CodeTemplateText = "MR049"
	// CodeMayBeMissing: a part of a key that may be missing by the schema.
	CodeMayBeMissing = "MR048"
	// CodePlace: an object or list where the template takes none.
	CodePlace = "MR047"
	// CodeNotJSON: text that is sent as JSON, or looks like it, and is none.
	CodeNotJSON = "MR050"
	// CodeNeverTaken: text or a constant that the template's place never takes,
	// such as a line break in a header.
	CodeNeverTaken = "MR051"
)

// The limits of an expression and of its evaluation; what that may cost is in
// Limits.
const (
	maxSource     = 8 << 10
	maxNodes      = 1000
	maxParts      = 1000
	maxPredicates = 2
	// maxList is the longest list that a predicate runs over or a function makes.
	maxList = 100_000
	// maxDepth is how deep JSON may be nested.
	maxDepth = 1000
)
