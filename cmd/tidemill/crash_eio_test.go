package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// strace returns the command that runs the server with an injection into its
// syncs, or skips the test. The tracer is the grandchild (-D), so that process id,
// signals and exit status are the server's; what is not traced runs at full speed.
func strace(t testing.TB, calls, inject string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("needs strace, to inject faults into system calls: %v", err)
	}
	return []string{path, "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + inject}
}

func needStrace(t testing.TB) {
	t.Helper()
	line := append(strace(t, "fdatasync", "retval=0"), "true")
	if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
		t.Skipf("strace cannot trace here: %v %s", err, out)
	}
}

// syncErrors is mode eio: from its n-th on, fdatasync fails in each thread. The
// process must end with the reason (W8), nothing may be acknowledged afterwards,
// and since the power goes, too, what the failed sync left in the page cache is of
// no help to the next start.
type syncErrors struct {
	powerCuts
	rounds          int
	honest          bool // the next start has a disk in good order
	inLoad, inStart int
	longest         time.Duration
}

func newSyncErrors(t *testing.T, lasts time.Duration) fault {
	needStrace(t)
	return &syncErrors{
		powerCuts: powerCuts{disk: newLoopDisk(t, diskBytes(lasts))},
		rounds:    3 + int(lasts/(10*time.Second)),
	}
}

func (f *syncErrors) setup() setup {
	s := usual(f.disk.dir())
	s.rounds = f.rounds
	return s
}

func (f *syncErrors) under() []string {
	if f.honest {
		return nil
	}
	return strace(f.c.t, "fdatasync", "error=EIO:when="+strconv.Itoa(5+f.c.rnd.IntN(40))+"+")
}

// strike waits for the end that the injection brings under load.
func (f *syncErrors) strike(p *process) {
	served := f.awaitEnd(p)
	switch {
	case !f.ended(p):
	case served:
		f.inLoad++
	default:
		f.inStart++
	}
	f.disk.cut()
	f.disk.boot()
}

// awaitEnd returns false if the end came before the server served.
func (f *syncErrors) awaitEnd(p *process) (served bool) {
	if p.ready(time.Minute) != nil {
		return false
	}
	f.c.load.gate.open()
	defer f.c.load.gate.close()
	ctx, cancel := context.WithTimeout(f.c.t.Context(), time.Minute)
	defer cancel()
	if !p.stderr.await(ctx, diskError) {
		f.c.t.Fatalf("no sync has failed in a minute of load\n%s", p.output())
	}
	began := time.Now()
	select {
	case <-p.exited:
		f.longest = max(f.longest, time.Since(began))
	case <-ctx.Done():
		f.c.t.Fatalf("the server survives a failed sync\n%s", p.output())
	}
	return true
}

// diskError is EIO in words.
const diskError = "input/output error"

// ended checks the exit of a server whose disk failed.
func (f *syncErrors) ended(p *process) bool {
	if !p.gone() {
		f.c.t.Errorf("the server neither serves nor ends\n%s", p.output())
		return false
	}
	said := p.stderr.String()
	if code := p.cmd.ProcessState.ExitCode(); code != int(exit.IO) || !strings.Contains(said, diskError) {
		f.c.t.Errorf("exit status %d, want %d with the reason\n%s", code, int(exit.IO), p.output())
		return false
	}
	return true
}

// refused: the error may come as early as the start.
func (f *syncErrors) refused(p *process, _ error) bool {
	if !f.ended(p) {
		return false
	}
	f.inStart++
	f.disk.cut()
	f.disk.boot()
	return true
}

func (f *syncErrors) relent() {
	f.honest = true
	f.powerCuts.strike(f.c.proc)
	f.c.fence()
	f.c.up()
}

func (f *syncErrors) report() string {
	if f.inLoad > 0 && f.c.load.refused.Load() == 0 {
		f.c.t.Error("no publish that waited for a failed sync was answered with 503")
	}
	return fmt.Sprintf("failed syncs ended the process with the reason %d times under load and %d times at the start; at most %v from the reason to the end",
		f.inLoad, f.inStart, f.longest.Round(time.Millisecond))
}
