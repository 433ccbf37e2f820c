package bench

import (
	"fmt"
	"io"
	"strings"
)

// WritePeers writes, for people, what there is to compare with on this machine.
func WritePeers(w io.Writer, peers []PeerInfo) error {
	var b strings.Builder
	writePeers(&b, peers)
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func writePeers(w io.Writer, peers []PeerInfo) {
	for _, p := range peers {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(p.Name+" "+p.Version))
		fmt.Fprintf(w, "  durability: %s\n", p.Durability)
		if p.Missing != "" {
			fmt.Fprintf(w, "  left out: %s\n  to install: %s\n", p.Missing, p.Install)
		}
	}
}

// writePeer says below a table what a peer's acknowledgement is worth.
func (s *Side) writePeer(w io.Writer) {
	if s.Durability != "" {
		fmt.Fprintf(w, "  %s: %s\n", s.Name, s.Durability)
	}
	if s.Lost > 0 {
		fmt.Fprintf(w, "  %s: LOST %d messages that it had acknowledged\n", s.Name, s.Lost)
	}
}

// benchmark is the part of a benchmark's name that tells the runs of a report apart.
func (run *Run) benchmark() string {
	if run.Name == "" {
		return ""
	}
	return "/run=" + word(run.Name)
}
