package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// Usage is what a process held at most.
type Usage struct {
	Descriptors int   `json:"descriptors"`        // open files and connections, looked at ten times a second
	Resident    int64 `json:"resident_max_bytes"` // memory, by the kernel's own high-water mark
}

// most is the higher of both, each for itself.
func (u Usage) most(v Usage) Usage {
	return Usage{max(u.Descriptors, v.Descriptors), max(u.Resident, v.Resident)}
}

// usageEvery is how often a watch looks.
const usageEvery = 100 * time.Millisecond

// watch follows what a process holds, by /proc. Where there is none, it sees nothing.
type watch struct {
	pid  int
	stop chan struct{}
	wg   sync.WaitGroup
	most Usage // owned by the goroutine until it has ended
}

func newWatch(pid int) *watch {
	w := &watch{pid: pid, stop: make(chan struct{})}
	w.wg.Go(w.run)
	return w
}

func (w *watch) run() {
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-tick.C:
		case <-w.stop:
			w.look()
			return
		}
	}
}

func (w *watch) look() {
	_, peak, _ := resident(w.pid)
	w.most = w.most.most(Usage{descriptors(w.pid), peak})
}

// end returns what was seen. ok is false if that is nothing.
func (w *watch) end() (most Usage, ok bool) {
	close(w.stop)
	w.wg.Wait()
	return w.most, w.most != Usage{}
}

// descriptors is how many a process has open; 0 if that cannot be told.
func descriptors(pid int) int {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what was read before an error is counted
	return len(names)
}

// resident is the memory that a process has now and has had at most, in bytes.
func resident(pid int) (now, peak int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, false
	}
	now, ok1 := statusBytes(status, "VmRSS:")
	peak, ok2 := statusBytes(status, "VmHWM:")
	return now, peak, ok1 && ok2
}

// statusBytes takes a line of proc(5)'s status, such as "VmRSS:   1234 kB".
func statusBytes(status []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(status, []byte(name))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if !found || len(fields) < 2 || string(fields[1]) != "kB" {
		return 0, false
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 53)
	return n << 10, err == nil
}
