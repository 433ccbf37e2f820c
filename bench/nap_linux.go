package bench

import (
	"syscall"
	"time"
)

// nap sleeps for about d, by the kernel's clock: Go's own timers are a millisecond coarse,
// since they end in a poll that counts in milliseconds. It may return early.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // interrupted: the caller looks at the clock again
}
