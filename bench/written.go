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
// say, belongs to its next round. The zero value is ready. A process that is there for one
// round is looked at before that and after it.
type writes struct {
	pid   int
	last  int64
	total int64
	told  int64     // of total, when the last round ended
	each  []float64 // for each operation, round by round
	known bool      // the last look saw something
}

// look is called at the beginning of each round, and by round at its end.
func (w *writes) look(pid int) {
	now, ok := writtenBytes(pid)
	if ok && w.known && pid == w.pid {
		w.total += now - w.last
	}
	w.pid, w.last, w.known = pid, now, ok
}

// round ends one with so many operations.
func (w *writes) round(pid int, operations int64) {
	w.look(pid)
	if operations > 0 {
		w.each = append(w.each, float64(w.total-w.told)/float64(operations))
	}
	w.told = w.total
}

// addWritten appends to the newest run, for each side that writes, what comes to the disk
// for each byte of a body (row 16). Each operation of the sides published one message.
//
// There are two figures of it. That of the whole run hides nothing, and is high in a short
// one without Settle: what a server prepares when it starts is on the account of few
// messages. The one by rounds shows what it comes to; a flush of the index is in one round
// of many.
func (r *Report) addWritten() {
	run := &r.Runs[len(r.Runs)-1]
	for i := range run.Sides {
		s := &run.Sides[i]
		bodies := s.operations * int64(r.BodyBytes)
		if s.Written == 0 || bodies == 0 {
			continue
		}
		name := s.Name + ": bytes to disk for each body byte"
		byRound := make([]float64, len(s.written))
		for k, bytes := range s.written {
			byRound[k] = bytes / float64(r.BodyBytes)
		}
		run.Figures = append(run.Figures,
			Figure{Name: name + ", whole run", Values: []float64{float64(s.Written) / float64(bodies)}},
			Figure{Name: name + ", by rounds", Values: byRound})
	}
}
