package limits

import (
	"fmt"
	"math"
)

// Descriptors is how the file descriptors of the process are shared out (P35). Log and
// index come first: without one of theirs the server would have to stop, while a
// connection that is refused or an attempt that waits loses nothing.
type Descriptors struct {
	Clients  int // connections to the API
	Attempts int // deliveries in flight, each with a connection
	Idle     int // kept connections to destinations
}

const (
	// filesWanted is for the log, up to 500 tables of the index, the admin listener
	// and what the runtime needs. A process with few descriptors keeps half for it:
	// its index is small, or it would have been given more.
	filesWanted = 640

	clientsMost = 16 << 10
	idleMost    = 2 << 10

	// descriptorsLeast is what a server can work with at all.
	descriptorsLeast = 64
)

// AttemptsMost is how many deliveries may be in flight with what the other shares leave of
// a limit, 0 being none: those were given out at the start and stay.
func (d *Descriptors) AttemptsMost(limit uint64) int {
	if limit == 0 {
		return math.MaxInt
	}
	total := int(min(limit, 1<<30))
	return max(d.Attempts, total-min(filesWanted, total/2)-d.Clients-d.Idle)
}

// ShareDescriptors shares out a limit; 0 is none. Deliveries get what they want up to
// half of what the files leave, clients the rest.
func ShareDescriptors(limit uint64, attempts int) (Descriptors, error) {
	if limit == 0 {
		return Descriptors{clientsMost, attempts, idleMost}, nil
	}
	if limit < descriptorsLeast {
		return Descriptors{}, fmt.Errorf("the process may open %d files and connections: allow at least %d, better 65536 (ulimit -n, LimitNOFILE=)", limit, descriptorsLeast)
	}
	total := int(min(limit, 1<<30))
	rest := total - min(filesWanted, total/2)
	out := min(attempts+idleMost, rest/2)
	d := Descriptors{Attempts: min(attempts, out*3/4)}
	d.Idle = min(idleMost, out-d.Attempts)
	d.Clients = min(clientsMost, rest-out)
	return d, nil
}
