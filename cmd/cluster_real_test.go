//go:build real

package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// What another tool makes of a group's offsets is taken as it is, back and forth.
func TestRealOffsetsOfAnotherTool(t *testing.T) {
	b := kafkaAlone(t)
	b.topics(t, 1)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", clusterFile(b, "{topic: BEDorders, group: BEDreset}", ""))
	client := b.client(t)
	for i := range 10 {
		produce(t, client, b.name("orders"), 0, fmt.Sprint(i))
	}
	expectLines := func(want ...string) {
		t.Helper()
		if got := strings.Fields(expect(t, dir, 0, "", "run", "--until-end")); !slices.Equal(got, want) {
			t.Errorf("it printed %v, want %v", got, want)
		}
	}
	reset := func(to string) {
		t.Helper()
		_, err := shared.Kafka(t).Run(t.Context(), kafkacluster.ConsumerGroups, "--reset-offsets", "--to-offset", to,
			"--group", b.name("reset"), "--topic", b.name("orders")+":0", "--execute")
		if err != nil {
			t.Fatal(err)
		}
	}
	expectLines("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	reset("7")
	expectLines("7", "8", "9")
	for i := range 4 {
		produce(t, client, b.name("orders"), 0, fmt.Sprint(10+i))
	}
	reset("12")
	expectLines("12", "13")
}
