//go:build unix

package testbed

import (
	"bytes"
	"context"
	_ "embed" // for what Kafka is fetched and logs with
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// kafkaVersion is the version that kafka/pom.xml names.
const kafkaVersion = "4.1.1"

//go:embed kafka/pom.xml
var kafkaPom string

//go:embed kafka/log4j2.yaml
var kafkaLog4j string

// Fetch returns the folder that holds Apache Kafka's jars, in the user's cache
// folder, and fetches them with Maven if they are not there. Several processes
// may call it at once: one fetches, the others wait.
func Fetch(ctx context.Context) (string, error) {
	dir, err := stateDir("kafka-" + kafkaVersion)
	if err != nil {
		return "", err
	}
	complete := filepath.Join(dir, ".complete")
	if isComplete(complete) {
		return dir, nil
	}
	lock, err := lockWhenFree(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("fetch Kafka: %w", err)
	}
	defer lock.Close()
	if isComplete(complete) {
		return dir, nil
	}
	if err := fetchJars(ctx, dir); err != nil {
		return "", fmt.Errorf("fetch Kafka: %w", err)
	}
	if err := os.WriteFile(complete, []byte(kafkaPom), 0o600); err != nil {
		return "", fmt.Errorf("fetch Kafka: %w", err)
	}
	return dir, nil
}

// isComplete tells whether the jars are there, and are those of this pom.
func isComplete(marker string) bool {
	text, err := os.ReadFile(marker)
	return err == nil && string(text) == kafkaPom
}

func fetchJars(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
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
		return fmt.Errorf("mvn: %w\n%s", err, lastLines(out, 20))
	}
	return nil
}

// lastLines is the end of a text, at most n lines of it.
func lastLines(text []byte, n int) []byte {
	text = bytes.TrimRight(text, "\n")
	at := len(text)
	for ; n > 0 && at > 0; n-- {
		at = max(bytes.LastIndexByte(text[:at], '\n'), 0)
	}
	return bytes.TrimLeft(text[at:], "\n")
}
