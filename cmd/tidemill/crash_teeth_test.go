package main

import (
	"testing"
	"time"
)

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
}

func (f *falseSyncs) setup() setup { return usual(f.disk.dir()) }

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
