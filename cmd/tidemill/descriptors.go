package main

import "fmt"

// descriptors is how the file descriptors of the process are shared out (P35). Log and
// index come first: without one of theirs the server would have to stop, while a
// connection that is refused or an attempt that waits loses nothing.
type descriptors struct {
	clients  int // connections to the API
	attempts int // deliveries in flight, each with a connection
	idle     int // kept connections to destinations
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

// shareDescriptors shares out a limit; 0 is none. Deliveries get what they want up to
// half of what the files leave, clients the rest.
func shareDescriptors(limit uint64, attempts int) (descriptors, error) {
	if limit == 0 {
		return descriptors{clientsMost, attempts, idleMost}, nil
	}
	if limit < descriptorsLeast {
		return descriptors{}, fmt.Errorf("the process may open %d files and connections: allow at least %d, better 65536 (ulimit -n, LimitNOFILE=)", limit, descriptorsLeast)
	}
	total := int(min(limit, 1<<30))
	rest := total - min(filesWanted, total/2)
	out := min(attempts+idleMost, rest/2)
	d := descriptors{attempts: min(attempts, out*3/4)}
	d.idle = min(idleMost, out-d.attempts)
	d.clients = min(clientsMost, rest-out)
	return d, nil
}

// shareOut applies the limit of the process to the configuration, and says so where it
// has less than was asked for.
func (s *server) shareOut() (err error) {
	limit := descriptorLimit()
	if s.descriptors, err = shareDescriptors(limit, s.cfg.Parallelism); err != nil {
		return err
	}
	if got := s.descriptors.attempts; got < s.cfg.Parallelism {
		s.log.Warn("the limit of open files leaves fewer attempts at one time than delivery.parallelism: raise it (ulimit -n, LimitNOFILE=)",
			"limit", limit, "attempts", got, "delivery.parallelism", s.cfg.Parallelism, "connections", s.descriptors.clients)
		s.cfg.Parallelism = got
		s.cfg.HostParallelism = min(s.cfg.HostParallelism, got)
	}
	return nil
}
