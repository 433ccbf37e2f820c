//go:build unix

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// openFiles is the process's limit of file descriptors, which Go has raised to the
// hard one.
func openFiles() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}
