//go:build real && linux

package testbed_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/process"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// holderDir names the folder in which this test binary, started once more,
// starts components and then waits to be killed.
const holderDir = "TESTBED_HOLDER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderDir); dir != "" {
		if err := hold(context.Background(), dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

func hold(ctx context.Context, dir string) error {
	redis, err := redisserver.Start(ctx, redisserver.Options{Dir: filepath.Join(dir, "redis")})
	if err != nil {
		return err
	}
	if err := redis.Pause(); err != nil {
		return err
	}
	if _, err := kafkacluster.Start(ctx, kafkacluster.Options{Dir: filepath.Join(dir, "kafka")}); err != nil {
		return err
	}
	fmt.Println("holding")
	return nil
}

func TestRealComponentsEndWithAKilledTest(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(bounded(t), os.Args[0])
	cmd.Env = append(os.Environ(), holderDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "holding\n" {
		t.Errorf("the holder says %q", line)
	}
	components := []string{filepath.Join(dir, "redis"), filepath.Join(dir, "kafka", "node1")}
	for _, c := range components {
		if !runs(t, c) {
			t.Errorf("%s does not run", c)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	for _, c := range components {
		await(t, c+" to end", func() bool { return !runs(t, c) })
	}
}

func TestRealComponentsOutliveTheThreadThatStartedThem(t *testing.T) {
	ctx := bounded(t)
	redis := make(chan *redisserver.Server, 1)
	thread := make(chan int, 1)
	go onThreadThatEnds(func() {
		defer close(redis)
		thread <- syscall.Gettid()
		r, err := redisserver.Start(ctx, redisserver.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		redis <- r
	})
	r := <-redis
	if r == nil {
		return
	}
	defer r.Close()
	task := filepath.Join("/proc/self/task", strconv.Itoa(<-thread))
	await(t, "the thread to end", func() bool { _, err := os.Stat(task); return os.IsNotExist(err) })
	if got, err := r.Run(ctx, "PING"); got != "PONG" {
		t.Errorf("got %q, %v", got, err)
	}
}

// onThreadThatEnds calls f on a thread that ends afterwards: a goroutine that
// ends with its thread locked takes the thread with it, but for the main one.
func onThreadThatEnds(f func()) {
	runtime.LockOSThread()
	if syscall.Gettid() != os.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		onThreadThatEnds(f)
	}()
	<-done
}

func TestRealDetachedComponentIsEndedByItsFolder(t *testing.T) {
	ctx := bounded(t)
	dir := t.TempDir()
	if was, err := process.End(ctx, dir); was || err != nil {
		t.Errorf("end of nothing: %t, %v", was, err)
	}
	r, err := redisserver.Start(ctx, redisserver.Options{Dir: dir, Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Kill()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if !runs(t, dir) {
		t.Error("Close ended a detached server")
	}
	if was, err := process.End(ctx, dir); !was || err != nil {
		t.Errorf("end of a server: %t, %v", was, err)
	}
	if runs(t, dir) {
		t.Error("the server still runs")
	}
}

func runs(t *testing.T, dir string) bool {
	t.Helper()
	running, err := process.Running(dir)
	if err != nil {
		t.Fatal(err)
	}
	return running
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
