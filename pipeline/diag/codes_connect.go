package diag

// Problems of the world that a configuration is to run in, which only
// `validate --connect` looks at.
const (
	// CodeBroker is a broker that can't be reached.
	CodeBroker Code = "MR100"
	// CodeTopicMissing is a topic that is not there.
	CodeTopicMissing Code = "MR101"
	// CodeTopicDiffers is a topic that is not as the file says.
	CodeTopicDiffers Code = "MR102"
	// CodeReplicas is a number of replicas that does not suit the partitions.
	CodeReplicas Code = "MR103"
	// CodeTopicLimit is a dead-letter topic that takes less than its source.
	CodeTopicLimit Code = "MR104"
	// CodeDurability is a topic that a broker's failure would stop or empty.
	CodeDurability Code = "MR105"
	// CodePermission is something that the credentials may not do.
	CodePermission Code = "MR106"
	// CodeGroupMembers is a group whose members can't be joined.
	CodeGroupMembers Code = "MR107"
	// CodeGroupOffsets is a group that has committed what the log does not have.
	CodeGroupOffsets Code = "MR108"
	// CodeStart is a start that names what the log does not have.
	CodeStart Code = "MR109"
	// CodeStoreDown is a key store that can't be reached.
	CodeStoreDown Code = "MR110"
	// CodeStoreSettings is a key store that is not set up to keep keys.
	CodeStoreSettings Code = "MR111"
	// CodeStoreReset is a key store that has lost keys.
	CodeStoreReset Code = "MR112"
	// CodeSinkDown is a sink whose system is not ready.
	CodeSinkDown Code = "MR113"
	// CodeStateFolder is a state folder, or an address of the embedded broker,
	// that a run could not use.
	CodeStateFolder Code = "MR114"
	// CodePattern is a pattern that matches no topic.
	CodePattern Code = "MR115"
)
