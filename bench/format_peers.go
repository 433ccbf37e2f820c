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
		fmt.Fprintf(w, "\n%s\n", p.title())
		fmt.Fprintf(w, "  durability: %s\n", p.Durability)
		if p.Missing != "" {
			fmt.Fprintf(w, "  left out: %s\n  to install: %s\n", p.Missing, p.Install)
		}
	}
}

// title is the name, with the version if it is known.
func (p *PeerInfo) title() string { return strings.TrimSpace(p.Name + " " + p.Version) }

// worth says what a peer's acknowledgement is worth, and "" of what is no peer.
func (s *Side) worth() string {
	switch {
	case s.Durability == "":
		return ""
	case s.Lost == 0:
		return s.Name + ": " + s.Durability
	}
	return fmt.Sprintf("%s: %s; LOST %d messages that it had acknowledged", s.Name, s.Durability, s.Lost)
}

// benchmark is the part of a benchmark's name that tells the runs of a report apart.
func (run *Run) benchmark() string {
	if run.Name == "" {
		return ""
	}
	return "/run=" + word(run.Name)
}
