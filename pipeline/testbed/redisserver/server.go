//go:build unix

package redisserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/process"
)

// Options say what server to start. The zero value is one that keeps
// nothing on disk, on a free port.
type Options struct {
	// AppendFsync turns the append-only file on: always, everysec or no. A
	// server without it comes back empty.
	AppendFsync string
	// Password is that of the default user; "" lets everyone in.
	Password string
	// Users are further users, each as an ACL writes it after the word user:
	// "app on >secret ~* &* +@all".
	Users []string
	// Certificates make the server speak TLS only. A client needs none of its own.
	Certificates *certificates.Set
	// Args are put after all others on the command line, so that they win:
	// "--maxmemory", "100mb".
	Args []string
	// Dir holds data and log; "" means a temporary folder that Close removes.
	Dir string
	// Port is the server's; 0 means a free one.
	Port int
	// Detached lets the server live on when this process ends; [process.End] ends it.
	// It needs Dir.
	Detached bool
}

// Server is a running redis-server. Its methods may be called from several
// goroutines at once.
type Server struct {
	options Options
	ports   *process.Ports
	port    int
	temp    bool
	closing sync.Once
	err     error

	mu    sync.Mutex
	child *process.Child // the last one that was launched; nil before
}

// Start starts a server and returns when it answers. Ctx bounds the start
// only. The caller must Close what it got.
func Start(ctx context.Context, options Options) (*Server, error) {
	if options.Detached && options.Dir == "" {
		return nil, errors.New("start Redis: a detached server needs a folder")
	}
	options.Args, options.Users = slices.Clone(options.Args), slices.Clone(options.Users)
	r := &Server{options: options, port: options.Port}
	err := r.prepare()
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		r.options.Detached = false
		return nil, fmt.Errorf("start Redis: %w", errors.Join(err, r.Close()))
	}
	return r, nil
}

func (r *Server) prepare() (err error) {
	if r.options.Dir == "" {
		if r.options.Dir, err = os.MkdirTemp("", "millrace-redis-"); err != nil {
			return err
		}
		r.temp = true
	}
	if r.options.Dir, err = filepath.Abs(r.options.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(r.options.Dir, 0o700); err != nil {
		return err
	}
	if r.port == 0 {
		if r.ports, err = process.ReservePorts(1); err != nil {
			return err
		}
		r.port = r.ports.Numbers[0]
	} else if err := process.PortFree(r.port); err != nil {
		return err
	}
	return os.WriteFile(r.config(), []byte(r.settings()), 0o600)
}

func (r *Server) config() string { return filepath.Join(r.options.Dir, "redis.conf") }

// settings is the text of redis.conf, which holds the passwords too.
func (r *Server) settings() string {
	port, tlsPort := r.port, 0
	if r.options.Certificates != nil {
		port, tlsPort = 0, r.port
	}
	lines := []string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", port), fmt.Sprintf("dir %q", r.options.Dir),
		`save ""`, "daemonize no", `logfile ""`,
	}
	if c := r.options.Certificates; c != nil {
		lines = append(lines, fmt.Sprintf("tls-port %d", tlsPort), "tls-auth-clients no",
			fmt.Sprintf("tls-cert-file %q", c.Server.Cert), fmt.Sprintf("tls-key-file %q", c.Server.Key),
			fmt.Sprintf("tls-ca-cert-file %q", c.CA))
	}
	if r.options.AppendFsync != "" {
		lines = append(lines, "appendonly yes", "appendfsync "+r.options.AppendFsync)
	}
	if r.options.Password != "" {
		lines = append(lines, fmt.Sprintf("requirepass %q", r.options.Password))
	}
	for _, user := range r.options.Users {
		lines = append(lines, "user "+user)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Start launches the server, with what its append-only file holds, and returns
// when it answers. Starting one that runs is an error.
func (r *Server) Start(ctx context.Context) error {
	c, err := r.launch()
	if err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	if err := c.Await(ctx, process.StartLimit, r.ping); err != nil {
		return fmt.Errorf("redis-server: %w\n%s", err, r.Log(20))
	}
	return nil
}

func (r *Server) launch() (*process.Child, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child != nil && !r.child.Ended() {
		return nil, errors.New("it runs")
	}
	args := append([]string{r.config()}, r.options.Args...)
	c, err := process.Launch(r.options.Dir, r.options.Detached, exec.Command("redis-server", args...))
	if err != nil {
		return nil, err
	}
	r.child = c
	return c, nil
}

// ping asks whether the server answers; one that wants a password does.
func (r *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH") {
		return nil
	}
	return errors.New(strings.TrimSpace(line))
}

func (r *Server) dial(ctx context.Context) (net.Conn, error) {
	c := r.options.Certificates
	if c == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots}}
	return d.DialContext(ctx, "tcp", r.Addr())
}

// Addr is the server's host:port.
func (r *Server) Addr() string { return process.Loopback(r.port) }

// URL is the server's as a client writes it, for database 0 and, where there
// is a password, the default user.
func (r *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: r.Addr(), Path: "/0"}
	if r.options.Certificates != nil {
		u.Scheme = "rediss"
	}
	if r.options.Password != "" {
		u.User = url.UserPassword("", r.options.Password)
	}
	return u.String()
}

// Run runs one command of Redis as the default user, with redis-cli, and
// returns its reply as text. A reply that is an error is an error.
func (r *Server) Run(ctx context.Context, args ...string) (string, error) {
	flags := []string{"-e", "-h", "127.0.0.1", "-p", strconv.Itoa(r.port)}
	if c := r.options.Certificates; c != nil {
		flags = append(flags, "--tls", "--cacert", c.CA)
	}
	cmd := exec.CommandContext(ctx, "redis-cli", append(flags, args...)...)
	if r.options.Password != "" {
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+r.options.Password)
	}
	out, err := process.Run(cmd)
	if err != nil {
		return out, fmt.Errorf("run %s on Redis: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSuffix(out, "\n"), nil
}

// Stop asks the server to end and waits until it is gone. At ctx's end it is
// killed. Stopping one that does not run is no error.
func (r *Server) Stop(ctx context.Context) error {
	if c := r.running(); c != nil {
		return c.Stop(ctx)
	}
	return nil
}

// Kill ends the server with SIGKILL and waits until it is gone. Killing one
// that does not run is no error.
func (r *Server) Kill() error {
	if c := r.running(); c != nil {
		return c.Kill()
	}
	return nil
}

// Pause stops the server's process with SIGSTOP: its connections stay open and
// nothing on them is answered.
func (r *Server) Pause() error { return r.signal(syscall.SIGSTOP) }

// Continue lets a paused server go on.
func (r *Server) Continue() error { return r.signal(syscall.SIGCONT) }

func (r *Server) signal(sig syscall.Signal) error {
	if c := r.running(); c != nil {
		return c.Signal(sig)
	}
	return fmt.Errorf("redis-server: %w", process.ErrEnded)
}

// running is the server's process, nil where there is none.
func (r *Server) running() *process.Child {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child == nil || r.child.Ended() {
		return nil
	}
	return r.child
}

// Log returns the last lines of what the server printed, at most so many.
func (r *Server) Log(lines int) string { return process.LogTail(r.options.Dir, lines) }

// Close kills the server, waits until it is gone, and removes what is
// temporary. It may be called several times. A detached server is left running
// once it was started.
func (r *Server) Close() error {
	r.closing.Do(func() {
		if !r.options.Detached {
			r.err = r.Kill()
		}
		if r.ports != nil {
			r.ports.Release()
		}
		if r.temp {
			r.err = errors.Join(r.err, os.RemoveAll(r.options.Dir))
		}
	})
	return r.err
}
