package bench

import (
	"fmt"
	"os"
	"strconv"
)

// writtenBytes is how many bytes a process has caused to be written to storage, by
// /proc/<pid>/io: whole pages of the page cache, counted when they become dirty. A file
// system's journal is not in it. ok is false where there is no such file, or it is another
// user's.
func writtenBytes(pid int) (n int64, ok bool) {
	if pid <= 0 {
		return 0, false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseInt(procField(text, "write_bytes"), 10, 64)
	return n, err == nil
}

// writes adds up what a side's process writes, from the beginning of its first round to the
// end of its last: what it writes while another side has its turn, a flush of its index
// say, belongs to it as well. The zero value is ready. A process that is there for one
// round is looked at before that and after it.
type writes struct {
	pid   int
	last  int64
	total int64
	known bool // the last look saw something
}

// look is called at the beginning and at the end of each round.
func (w *writes) look(pid int) {
	now, ok := writtenBytes(pid)
	if ok && w.known && pid == w.pid {
		w.total += now - w.last
	}
	w.pid, w.last, w.known = pid, now, ok
}

// addWritten appends to the newest run, for each side that writes, what comes to the disk
// for each byte of a body (row 16). Each operation of the sides published one message.
func (r *Report) addWritten() {
	run := &r.Runs[len(r.Runs)-1]
	for i := range run.Sides {
		s := &run.Sides[i]
		if bodies := s.operations * int64(r.BodyBytes); s.Written > 0 && bodies > 0 {
			run.Figures = append(run.Figures, Figure{
				Name:   s.Name + ": bytes to disk for each body byte",
				Values: []float64{float64(s.Written) / float64(bodies)},
			})
		}
	}
}
