package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// powerCuts is mode power. The process is stopped before the power goes: else the
// one sync that is under way may answer "done" with its data gone, and its
// acknowledgement might get out.
type powerCuts struct {
	plain
	disk *loopDisk
}

// diskBytes is the size of a disk that takes load for so long; it is sparse.
func diskBytes(lasts time.Duration) int64 { return config.GiB + int64(lasts.Seconds())*(32*config.MiB) }

func newPowerCuts(t *testing.T, lasts time.Duration) fault {
	return &powerCuts{disk: newLoopDisk(t, diskBytes(lasts))}
}

func (f *powerCuts) setup() setup {
	s := usual(f.disk.dir())
	s.lines = true
	return s
}

func (f *powerCuts) strike(p *process) {
	if err := p.halt(); err != nil {
		f.c.t.Fatal(err)
	}
	f.disk.cut()
	p.kill()
	f.disk.boot()
}

// halt is SIGSTOP; it returns when every thread has stopped, so that no answer
// leaves the process any more. A process that has ended is halted, too.
func (p *process) halt() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if running := runningThreads(p.pid()); running == 0 || p.gone() {
			return nil
		}
	}
	return fmt.Errorf("threads of the server do not stop: %d of them run on", runningThreads(p.pid()))
}

// runningThreads counts the threads of a process that are neither stopped nor dead.
func runningThreads(pid int) (n int) {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state ...", and the name may hold anything.
		_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if len(rest) > 0 && !bytes.ContainsAny(rest[:1], "TtZX") {
			n++
		}
	}
	return n
}

// TestLoopDisk: a disk whose power is cut forgets what was not synced, and only
// that; else mode power would prove nothing.
func TestLoopDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a file system: not with -short")
	}
	d := newLoopDisk(t, config.GiB)
	synced, unsynced := filepath.Join(d.dir(), "synced"), filepath.Join(d.dir(), "unsynced")
	for _, path := range []string{synced, unsynced} {
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{synced, d.dir()} {
		if err := syncPath(path); err != nil {
			t.Fatal(err)
		}
	}
	late := []byte("written over the zeros and not synced")
	f, err := os.OpenFile(synced, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(late, 4096); err != nil {
		t.Fatal(err)
	}
	_ = f.Close() // nothing is owed to this file
	d.cut()
	d.boot()
	got, err := os.ReadFile(synced)
	if err != nil || !bytes.Equal(got, make([]byte, 1<<20)) {
		t.Errorf("what was synced is not what is there (%v); late write survived: %v", err, bytes.Contains(got, late))
	}
	if got, err := os.ReadFile(unsynced); err == nil && len(got) > 0 {
		t.Errorf("%d bytes that were not synced are there", len(got))
	}
}

// TestJanitor: a disk whose test has died while it was frozen is thawed, unmounted
// and removed.
func TestJanitor(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a file system: not with -short")
	}
	d := newLoopDisk(t, config.GiB)
	d.freeze()
	_ = d.alive.Close() // what the kernel does when the test dies
	if err := d.janitor.Wait(); err != nil {
		t.Errorf("janitor: %v", err)
	}
	d.mounted = false
	if _, err := os.Stat(d.base); !os.IsNotExist(err) {
		t.Errorf("the disk is still there: %v", err)
	}
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
