package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	backlogLeast = 1024  // somaxconn: Debian's and the kernel's default is 4096
	portsLeast   = 10000 // the kernel's default is 28232
)

// judgeBacklog is about net.core.somaxconn, which Go takes for the queue of connections that nobody has
// accepted yet. What comes on top is dropped and tried again by the client after a second.
func judgeBacklog(text string, err error) Check {
	n, parseErr := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil || parseErr != nil:
		return skip("net.core.somaxconn cannot be read")
	case n < backlogLeast:
		return warn("sysctl net.core.somaxconn=4096", "net.core.somaxconn is %d: of a burst of clients those on top wait a second or more", n)
	}
	return okay("net.core.somaxconn is %d", n)
}

// judgePorts is about net.ipv4.ip_local_port_range, which bounds the connections to one destination's
// address, those that linger for a minute after they ended included.
func judgePorts(text string, err error) Check {
	var from, to int
	if _, scanErr := fmt.Sscan(text, &from, &to); err != nil || scanErr != nil || to < from {
		return skip("net.ipv4.ip_local_port_range cannot be read")
	}
	if n := to - from + 1; n < portsLeast {
		return warn(`sysctl net.ipv4.ip_local_port_range="32768 60999"`, "%d ports for connections to one destination", n)
	}
	return okay("%d ports for connections to one destination", to-from+1)
}

// judgeHugePages is about transparent huge pages: with "always" the kernel rounds each touched page up to
// 2 MiB, and gives back in pieces of that size: resident memory is then no longer what is promised.
func judgeHugePages(text string, err error) Check {
	_, rest, found := strings.Cut(text, "[")
	mode, _, closed := strings.Cut(rest, "]")
	switch {
	case err != nil || !found || !closed:
		return skip("transparent huge pages: this kernel does not tell")
	case mode == "always":
		return warn("echo madvise >/sys/kernel/mm/transparent_hugepage/enabled", "transparent huge pages are always used: the process may take more memory than it is configured for")
	}
	return okay("transparent huge pages: %s", mode)
}
