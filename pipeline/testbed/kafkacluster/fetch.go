//go:build unix

package kafkacluster

import (
	"context"
	_ "embed" // for what Kafka is fetched and logs with
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

// kafkaVersion is the version that pom.xml names.
const kafkaVersion = "4.1.1"

//go:embed pom.xml
var kafkaPom string

//go:embed log4j2.yaml
var kafkaLog4j string

// Fetch returns the folder that holds Apache Kafka's jars, in the user's cache
// folder, and fetches them with Maven if they are not there. Several processes
// may call it at once: one fetches, the others wait.
func Fetch(ctx context.Context) (string, error) {
	return process.FetchOnce(ctx, "kafka-"+kafkaVersion, kafkaPom, fetchJars)
}

func fetchJars(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp("", "millrace-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	pom := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(pom, []byte(kafkaPom), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, process.LastLines(out, 20))
	}
	return nil
}
