package engine

import (
	"slices"
	"sync"
)

// flight is the attempt that a worker is making. History tells of an attempt once it has
// ended; until then this does.
type flight struct {
	mu  sync.Mutex
	now flightInfo // seq 0: none
}

type flightInfo struct {
	user       UserID
	seq, nonce uint64
	pos        uint64
	len        uint32
	attempt    int
	start      int64 // unix ms
}

func (f *flight) set(i flightInfo) {
	f.mu.Lock()
	f.now = i
	f.mu.Unlock()
}

// flights holds what every worker is making. There are at most Limits.Parallelism.
type flights struct {
	mu  sync.Mutex
	all []*flight
}

func (fs *flights) add(f *flight) {
	fs.mu.Lock()
	fs.all = append(fs.all, f)
	fs.mu.Unlock()
}

// of returns the attempts of an account that are under way, earliest first. The outcome of
// each is logged after the call began.
func (fs *flights) of(u UserID) (out []flightInfo) {
	fs.mu.Lock()
	all := fs.all
	fs.mu.Unlock()
	for _, f := range all {
		f.mu.Lock()
		if f.now.seq != 0 && f.now.user == u {
			out = append(out, f.now)
		}
		f.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b flightInfo) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return out
}
