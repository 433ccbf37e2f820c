package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// system is a peer that runs: its programs on free ports of 127.0.0.1, its data in a fresh
// directory, and the bridge of ours that delivers for it if it cannot do so itself.
type system struct {
	o        *PeersOptions
	parent   string // of the data directory
	dir      string // made by freshDir
	programs []*program
	bridges  []*Child

	// storing is the way to publish with c producers so that nothing is delivered, and
	// delivering the one to publish what is; nil if the peer is not compared in that.
	storing    func(c int) *way
	delivering *way
}

// way is one way to publish to a peer.
type way struct {
	name string                           // of the side
	dial func(ctx context.Context) sender // a producer's connection; connects when it is used
	text bool                             // bodies travel as base64, in a JSON string

	// clear forgets all messages, and count is how many are stored.
	clear func(ctx context.Context) error
	count func(ctx context.Context) (int64, error)
}

// sender is a producer's connection to a peer, with one request in flight. Not safe for
// concurrent use. After an error it connects again.
type sender interface {
	// publish returns nil when the peer has acknowledged the body, which is to be delivered to
	// http://host/ if host is not empty. It keeps nothing of body.
	publish(host string, body []byte) error
	close()
}

// freshDir makes the data directory, on the disk that is to be measured.
func (s *system) freshDir(name string) (string, error) {
	dir, err := os.MkdirTemp(s.parent, "tidemill-peer-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("make the data directory of %s: %w", name, err)
	}
	s.dir = dir
	if s.dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("find the data directory of %s: %w", name, err)
	}
	return s.dir, nil
}

// bridge starts the process that delivers what is published to the peer at addr.
func (s *system) bridge(ctx context.Context, kind, addr string) error {
	child, err := s.o.Spawn(ctx, Role(bridgePrefix+kind+"@"+addr))
	if err == nil {
		s.bridges = append(s.bridges, child)
	}
	return err
}

// processes are all that work for the peer now, with their children.
func (s *system) processes() []int {
	var pids []int
	for _, p := range s.programs {
		pids = append(pids, family(p.cmd.Process.Pid)...)
	}
	for _, b := range s.bridges {
		pids = append(pids, b.PID)
	}
	return pids
}

// stop ends everything, the youngest first, and removes the data.
func (s *system) stop() error {
	var err error
	for _, b := range s.bridges {
		err = errors.Join(err, b.Stop())
	}
	for i := len(s.programs) - 1; i >= 0; i-- {
		err = errors.Join(err, s.programs[i].stop())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// run starts a program of the peer's and waits until ready returns nil.
func (s *system) run(ctx context.Context, cmd *exec.Cmd, ready func() error) error {
	p := &program{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.WaitDelay = shutdownTimeout // for output that a grandchild holds open
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	s.programs = append(s.programs, p)
	return p.await(ctx, ready)
}

// program is a process of a peer.
type program struct {
	cmd  *exec.Cmd
	said tail
	done chan struct{} // closed when it has ended
	err  error         // valid then
}

func (p *program) name() string { return p.cmd.Args[0] }

// await polls until the program is ready, has ended, or has had its time.
func (p *program) await(ctx context.Context, ready func() error) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w: %s", p.name(), p.err, p.said.String())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready after %v: %w: %s", p.name(), startTimeout, err, p.said.String())
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// stop asks the program to end, and kills it when it does not. With which status it ends is
// its own affair, unless it had ended before it was asked.
func (p *program) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended in the run: %w: %s", p.name(), p.err, p.said.String())
	default:
	}
	// SIGINT is Postgres's quick way to end, and an orderly end of the others. It fails
	// only if the program has ended, which done tells.
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// freePort is an address of 127.0.0.1 at which nobody listened a moment ago.
func freePort() (addr, port string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	addr = ln.Addr().String()
	return addr, addr[strings.LastIndexByte(addr, ':')+1:], ln.Close()
}
