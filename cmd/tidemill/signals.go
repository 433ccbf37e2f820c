package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, which
// begins an orderly stop. A second one ends the process on the spot: what was
// acknowledged is on disk, so there is nothing to lose but time at the next start.
func untilSignal(parent context.Context, stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals, stopped := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for again := false; ; again = true {
			select {
			case s := <-signals:
				if again {
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
