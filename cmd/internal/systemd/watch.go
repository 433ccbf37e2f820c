package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watch tells the manager's watchdog that the server lives, as long as ping returns nil,
// until ctx ends. It asks three times per WatchdogSec, so that one answer that is late does
// no harm, and gives ping as long. A ping that fails sends nothing and is logged: should
// the manager then end the process, with SIGABRT, which makes Go print every goroutine, the
// journal has the reason beside it. It returns at once if no watchdog asks.
//
// What may end a server is decided by ping (engine.Ping), and is not that its disk hangs.
func (n *Notifier) Watch(ctx context.Context, ping func(context.Context) error, log *slog.Logger) {
	if n == nil || n.watchdog == 0 {
		return
	}
	every := n.watchdog / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := within(ctx, every, ping); err == nil {
			n.send(patience, daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			log.Error("the engine does not answer: without an answer systemd's watchdog ends this process", "watchdog", n.watchdog.String(), "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func within(ctx context.Context, d time.Duration, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return ping(ctx)
}

// Report sends status every so often until ctx ends, when it has changed. It returns at
// once outside of systemd.
func (n *Notifier) Report(ctx context.Context, every time.Duration, status func() string) {
	if n == nil {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.Status(status())
		case <-ctx.Done():
			return
		}
	}
}
