package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager about the server. A nil Notifier is one outside of
// systemd, whose methods do nothing. They are safe for concurrent use, return soon and
// report no error: a manager that does not listen is no reason to serve worse.
type Notifier struct {
	socket   string
	watchdog time.Duration // between two signs of life at most; 0: nobody asks for them

	mu struct {
		sync.Mutex
		status   string // as it was sent last
		stopping bool   // Stopping was called: its status stays
	}
	recovery recovery
}

// A manager that is busy reads late, and its queue holds ten datagrams. What changes its
// mind about the server is worth a wait then; a status is not, the next one tells more.
const (
	patience   = time.Second
	impatience = time.Millisecond
)

// FromEnv returns the notifier that the environment asks for, nil if there is none, and
// takes what it read out of the environment: a child process must not speak for the server.
func FromEnv() *Notifier {
	watchdog, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		watchdog = 0 // a value that is no number: systemd sends none such
	}
	socket := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	return &Notifier{socket: socket, watchdog: watchdog}
}

// Ready says that requests are accepted, at the start and after Reloading.
func (n *Notifier) Ready(status string) {
	n.send(patience, daemon.SdNotifyReady, n.statusLine(status))
}

// Status says what the server is doing, in a line of text for people. It sends nothing if
// that is what it said last.
func (n *Notifier) Status(status string) {
	if n == nil {
		return
	}
	if line := n.statusLine(status); line != "" {
		n.send(impatience, line)
	}
}

// Stopping says that the server has begun to stop.
func (n *Notifier) Stopping(status string) {
	if n == nil {
		return
	}
	line := n.statusLine(status)
	n.mu.Lock()
	n.mu.stopping = true
	n.mu.Unlock()
	n.send(patience, daemon.SdNotifyStopping, line)
}

// Reloading says that the configuration is being read again; Ready ends that. The time in
// it tells systemd which reload it is that ends (Type=notify-reload).
func (n *Notifier) Reloading() {
	n.send(patience, daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// extend asks for so much more time to start or stop, from now on. Without another sign
// by then the manager goes by its own limit.
func extend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// statusLine returns the assignment for a status, "" if it is known already. A line break
// would begin another assignment.
func (n *Notifier) statusLine(status string) string {
	if n == nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	status = strings.ReplaceAll(status, "\n", " ")
	if status == n.mu.status || status == "" || n.mu.stopping {
		return ""
	}
	n.mu.status = status
	return "STATUS=" + status
}

// send sends assignments, those left out that are empty. It dials anew each time, as
// sd_notify(3) does, since the manager may have been replaced. daemon.SdNotify would do the
// same, but reads the name from the environment at every call, where it must not stay, and
// waits without end for a manager that hangs.
func (n *Notifier) send(within time.Duration, assignments ...string) {
	if n == nil {
		return
	}
	var lines []string
	for _, a := range assignments {
		if a != "" {
			lines = append(lines, a)
		}
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	if c.SetWriteDeadline(time.Now().Add(within)) == nil {
		_, _ = c.Write([]byte(strings.Join(lines, "\n")))
	}
}
