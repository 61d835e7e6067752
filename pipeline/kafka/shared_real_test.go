//go:build real

package kafka

import "testing"

// TestRealSharedTests runs on Apache Kafka what is tested on the cluster in the
// process too.
func TestRealSharedTests(t *testing.T) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) *bed){
		"reads every record once in key order": testReadsEveryRecordOnceInKeyOrder,
		"commits the finished prefix only":     testCommitsTheFinishedPrefixOnly,
		"clean close and rejoin":               testCleanCloseAndRejoinLosesAndRepeatsNothing,
		"start holds where there is no commit": testStartHoldsWhereTheGroupHasNoCommit,
		"latest is resolved once":              testLatestIsResolvedOnceAndForgetsNothing,
		"commit of another tool":               testCommitOfAnotherToolIsTakenAsItIs,
		"new partitions and matching topics":   testNewPartitionsAndMatchingTopicsBeginAtTheirFirstRecord,
		"lost range stands still":              testLostRangeStandsStillAndOthersGoOn,
		"lost range is passed over":            testLostRangeIsPassedOverWhereTheSourceSaysSo,
		"topic made again while stopped":       testTopicMadeAgainWhileStopped,
		"topic made again while it is read":    testTopicMadeAgainWhileItIsRead,
		"many bombs":                           testManyBombsTakeTheirTimeAndNotTheProcess,
		"batch that decompresses too far":      testBatchThatDecompressesTooFarIsHandedOutAsOneRecord,
		"store epoch":                          testStoreEpochStandsBesideTheCommit,
		"two members share":                    testTwoMembersShareWithoutLossRepetitionOrDisorder,
		"batch is finished during close":       testBatchIsFinishedDuringClose,
		"guard":                                testGuardRefusesWhatIsNotOurs,
		"pause and resume":                     testPauseAndResume,
		"status":                               testStatusTellsLagOfTheBroker,
		"static member":                        testStaticMemberKeepsItsPartitions,
		"same instance twice":                  testSameInstanceTwiceStopsTheOlder,
		"times":                                testTimesAreKeptInOneBatch,
	} {
		t.Run(name, func(t *testing.T) { test(t, realBed) })
	}
}
