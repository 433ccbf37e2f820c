package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// sameMoment is how long after the first signal another is not meant.
const sameMoment = 100 * time.Millisecond

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, which
// begins an orderly stop. A second one ends the process on the spot: what was
// acknowledged is on disk, so there is nothing to lose but time at the next start. One that
// comes at the same moment is none: timeout(1) signals the process, and then its group.
func untilSignal(parent context.Context, stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals, stopped := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		var first time.Time
		for {
			select {
			case s := <-signals:
				if first.IsZero() {
					first = time.Now()
				} else if again(first, time.Now()) {
					fmt.Fprintf(stderr, "tidemill: %v again: stopping at once\n", s)
					os.Exit(int(exit.Failure))
				}
				cancel()
			case <-stopped:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}

// again says whether a signal is a second one, and not the other half of the first.
func again(first, now time.Time) bool { return now.Sub(first) > sameMoment }
