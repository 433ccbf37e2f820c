package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
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
	f.awaitEnd(p)
	if f.ended(p) {
		f.inLoad++
	}
	f.disk.cut()
	f.disk.boot()
}

func (f *syncErrors) awaitEnd(p *process) {
	if p.ready(time.Minute) != nil {
		return // ended before it served
	}
	f.c.load.gate.open()
	defer f.c.load.gate.close()
	began := time.Now()
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		f.c.t.Fatalf("no sync has failed in a minute of load, or the server survived it\n%s", p.output())
	}
	f.longest = max(f.longest, time.Since(began))
}

// ended checks the exit of a server whose disk failed.
func (f *syncErrors) ended(p *process) bool {
	if !p.gone() {
		f.c.t.Errorf("the server neither serves nor ends\n%s", p.output())
		return false
	}
	said := p.stderr.String()
	if code := p.cmd.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(said, "input/output error") {
		f.c.t.Errorf("exit status %d, want %d with the reason\n%s", code, exitFailure, p.output())
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
	f.c.up()
}

func (f *syncErrors) report() string {
	if f.inLoad > 0 && f.c.load.refused.Load() == 0 {
		f.c.t.Error("no publish that waited for a failed sync was answered with 503")
	}
	return fmt.Sprintf("failed syncs ended the process with the reason %d times under load and %d times at the start; longest wait for the end %v",
		f.inLoad, f.inStart, f.longest.Round(time.Millisecond))
}

// teeth is mode teeth: when every sync of a server is answered "done" without
// being made, mode power must find losses. A file system that saves the data
// anyhow, or a server that refuses to start on what is left, is tried again.
func teeth(t *testing.T, seed uint64, lasts time.Duration) {
	needStrace(t)
	const cutsMax = 5
	refused := 0
	for cut := range cutsMax {
		f := &falseSyncs{powerCuts: powerCuts{disk: newLoopDisk(t, diskBytes(lasts))}}
		c := newCrash(t, seed+uint64(cut), f)
		if lost, started := f.cutFalsely(); !started {
			refused++
		} else if lost > 0 {
			t.Logf("mode teeth: %d of %d acknowledged messages lost at cut %d with syncs that do nothing, as it must be; %d starts refused",
				lost, c.book.acked.Load(), cut+1, refused)
			return
		}
	}
	t.Errorf("with syncs that do nothing no message was lost in %d power cuts (%d starts refused): mode power proves nothing", cutsMax, refused)
}

// falseSyncs is power cuts of a server whose syncs may be false.
type falseSyncs struct {
	powerCuts
	command []string
	refusal bool
}

func (f *falseSyncs) under() []string { return f.command }

func (f *falseSyncs) refused(*process, error) bool { return false }

// cutFalsely restarts the honest server as one whose syncs do nothing, lets it
// acknowledge, cuts its power, and has the honest one count what is lost. The
// publishers are done by then: what the server has forgotten may be their account.
func (f *falseSyncs) cutFalsely() (lost int, started bool) {
	c := f.c
	c.load.gate.close()
	c.load.settle()
	if err := c.proc.terminate(); err != nil {
		c.t.Fatal(err)
	}
	f.command = strace(c.t, "fsync,fdatasync", "retval=0")
	c.up()
	before := c.book.acked.Load()
	c.load.gate.open()
	for end := time.Now().Add(30 * time.Second); c.book.acked.Load() < before+1000 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	c.load.gate.close()
	f.strike(c.proc)
	c.load.stop()
	f.command = nil
	c.proc = launchUnder(c.t, nil, nil, c.args...)
	if err := c.proc.ready(60 * time.Second); err != nil {
		c.t.Logf("the start after the cut is refused: %v", err)
		return 0, false
	}
	lost = c.lost()
	c.proc.kill()
	return lost, true
}
