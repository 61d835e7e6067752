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
	return fetchOnce(ctx, "kafka-"+kafkaVersion, kafkaPom, fetchJars)
}

// fetchOnce returns a folder of that name that fetch filled, and calls it where
// the folder is not complete or was filled for another list of what to fetch.
func fetchOnce(ctx context.Context, name, list string, fetch func(ctx context.Context, dir string) error) (string,
	error) {
	dir, err := stateDir(name)
	if err != nil {
		return "", err
	}
	complete := filepath.Join(dir, ".complete")
	if isComplete(complete, list) {
		return dir, nil
	}
	lock, err := lockWhenFree(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer lock.Close()
	if isComplete(complete, list) {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.WriteFile(complete, []byte(list), 0o600); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return dir, nil
}

// isComplete tells whether what was fetched is there, and of this list.
func isComplete(marker, list string) bool {
	text, err := os.ReadFile(marker)
	return err == nil && string(text) == list
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
