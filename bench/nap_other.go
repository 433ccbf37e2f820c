//go:build !linux

package bench

import "time"

// nap sleeps for about d. It may return early.
func nap(d time.Duration) { time.Sleep(d) }
