package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	startTimeout = 2 * time.Minute // a server may have a gigabyte of log to replay
	stopTimeout  = 20 * time.Second
	stderrKept   = 4 << 10
)

// Spawn starts a process in a role and returns it when it accepts connections.
// The harness stops every child that it was given.
type Spawn func(ctx context.Context, role Role) (*Child, error)

// Child is a running process.
type Child struct {
	Server
	life *Life // nil: it can only be stopped
	stop func() error
}

// Life is what can be done with a server beside stopping it. Each function is called
// once at most, but for Said.
type Life struct {
	// Kill ends the process as SIGKILL does and waits for it. Its data stay.
	Kill func() error

	// Start starts it again on the same data, after a Kill. The child that it returns
	// has taken them over, and is the one to be stopped.
	Start func(ctx context.Context) (*Child, error)

	// Ended waits until the process has ended, and says how: with its status and the end of
	// what it has logged, or nil if it was told to end. What it has said Child.Stop does not
	// say again. It is called once, by a goroutine of its own; nil if that cannot be known.
	Ended func() error

	// Said returns the end of what it has logged so far, 4 KiB at most.
	Said func() string
}

// NewChild makes a Child for a Spawn of the caller's own. stop ends the process
// and waits for it; it is called once.
func NewChild(s Server, stop func() error) *Child {
	return &Child{Server: s, stop: stop}
}

// WithLife makes c one that can be killed and started again.
func (c *Child) WithLife(l Life) *Child {
	c.life = &l
	return c
}

// Stop ends the process and waits for it. An unclean exit is an error, but for that of a
// process that was killed by its Life.
func (c *Child) Stop() error { return c.stop() }

// Reexec starts children from an executable, by default the one that is running.
// A child says on standard output where it listens, in a line that ends in
// "running at <url>"; a server's first start prints its token before that, in a
// line "export QSTASH_TOKEN=<token>", and where its admin listener is, in a line
// "Admin: <url>/healthz, ...".
type Reexec struct {
	// Path of the executable. Default: os.Executable.
	Path string

	// RoleArgs come before a role's name. Default: bench role.
	RoleArgs []string

	// ServeArgs start the server; --data, --listen and --admin.listen 127.0.0.1:0
	// and --destinations.allow 127.0.0.0/8 are put behind the first of them, so
	// that later ones win. Default: serve.
	ServeArgs []string

	// DataParent is where the server's data directory is made; it is removed
	// afterwards. It must be on the disk that is to be measured. Default: the
	// working directory, since os.TempDir is in memory on many systems, where an
	// fsync costs nothing and proves nothing.
	DataParent string

	// Env is added to the children's environment.
	Env []string
}

// Spawn is the harness's Spawn.
func (r Reexec) Spawn(ctx context.Context, role Role) (*Child, error) {
	path := r.Path
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the executable to start as %s: %w", role, err)
		}
	}
	if role == RoleServer {
		return r.serve(ctx, path)
	}
	args := r.RoleArgs
	if args == nil {
		args = []string{"bench", "role"}
	}
	return r.start(ctx, role, path, append(args[:len(args):len(args)], string(role)))
}

func (r Reexec) serve(ctx context.Context, path string) (*Child, error) {
	parent := r.DataParent
	if parent == "" {
		parent = "."
	}
	data, err := os.MkdirTemp(parent, "tidemill-bench-")
	if err != nil {
		return nil, fmt.Errorf("make the server's data directory: %w", err)
	}
	return r.serveOn(ctx, path, data, "")
}

// serveOn starts the server on a data directory, which goes when the server is stopped.
// token is what an earlier start on it has said.
func (r Reexec) serveOn(ctx context.Context, path, data, token string) (*Child, error) {
	args := r.ServeArgs
	if len(args) == 0 {
		args = []string{"serve"}
	}
	full := append([]string{
		args[0], "--data", data, "--listen", "127.0.0.1:0",
		"--admin.listen", "127.0.0.1:0", "--destinations.allow", "127.0.0.0/8",
	}, args[1:]...)
	child, err := r.start(ctx, RoleServer, path, full)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	child.Data = data
	if child.Token == "" {
		child.Token = token
	}
	stop, kept := child.stop, child.Token
	child.stop = func() error { return errors.Join(stop(), os.RemoveAll(data)) }
	child.life.Start = func(ctx context.Context) (*Child, error) { return r.serveOn(ctx, path, data, kept) }
	return child, nil
}

func (r Reexec) start(ctx context.Context, role Role, path string, args []string) (*Child, error) {
	p := &process{cmd: exec.Command(path, args...), role: role, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), r.Env...)
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", role, err)
	}
	p.stdin = stdin
	ready := make(chan Server, 1)
	go p.watch(stdout, ready)
	server, err := p.await(ctx, ready)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	server.PID = p.cmd.Process.Pid
	return NewChild(server, p.stop).WithLife(Life{Kill: p.kill, Ended: p.ended, Said: p.stderr.String}), nil
}

// process is a child and the goroutine that reads its output and waits for it.
type process struct {
	cmd    *exec.Cmd
	role   Role
	stdin  io.Closer
	stderr tail
	killed bool          // by kill
	told   atomic.Bool   // to end
	known  atomic.Bool   // how it ended, by who called ended
	done   chan struct{} // closed when it has ended
	err    error         // valid then
}

// watch reads standard output to its end, as long as the child lives, so that the
// child never blocks on it.
func (p *process) watch(stdout io.Reader, ready chan<- Server) {
	var s Server
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if token, ok := strings.CutPrefix(line, "export QSTASH_TOKEN="); ok {
			s.Token = strings.Trim(token, `"'`)
		}
		if urls, ok := strings.CutPrefix(line, "Admin: "); ok {
			s.Admin, _, _ = strings.Cut(urls, "/healthz")
		}
		if _, url, ok := strings.Cut(line, "running at "); ok && s.URL == "" {
			s.URL = strings.TrimSuffix(url, "/")
			ready <- s
		}
	}
	io.Copy(io.Discard, stdout) // after a line too long for the scanner
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) await(ctx context.Context, ready <-chan Server) (Server, error) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case s := <-ready:
		return s, nil
	case <-p.done:
		return Server{}, fmt.Errorf("the %s ended before it was ready: %s", p.role, p.stderr.String())
	case <-timeout.C:
		return Server{}, fmt.Errorf("the %s was not ready after %v: %s", p.role, startTimeout, p.stderr.String())
	case <-ctx.Done():
		return Server{}, context.Cause(ctx)
	}
}

// stop asks the child to end, and kills it when it does not.
func (p *process) stop() error {
	p.told.Store(true)
	p.stdin.Close() // a role ends at the end of its input
	if p.role == RoleServer {
		// Fails only if it has ended already, which done tells.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	if p.err != nil && !p.killed && !p.known.Load() {
		return p.exit()
	}
	return nil
}

// exit is how it ended, with its last lines.
func (p *process) exit() error {
	return fmt.Errorf("the %s ended with %v: %s", p.role, p.cmd.ProcessState, p.stderr.String())
}

// ended is Life.Ended.
func (p *process) ended() error {
	<-p.done
	if p.told.Load() {
		return nil
	}
	p.known.Store(true)
	return p.exit()
}

// kill ends the child as a crash does. It must not run beside stop.
func (p *process) kill() error {
	p.killed = true
	p.told.Store(true)
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the %s: %w: %s", p.role, err, p.stderr.String())
	}
	<-p.done
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if drop := len(t.buf) - stderrKept; drop > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[drop:])]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
