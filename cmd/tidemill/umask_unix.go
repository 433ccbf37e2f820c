//go:build unix

package main

import (
	"os"
	"syscall"
)

// keepPrivate makes every file of this process readable by its owner alone. A
// data directory that somebody else made may be open to all, and not only
// credentials.toml holds secrets: log and index have the signing keys.
//
// A core would hold them as well (P45), so there is none, unless GOTRACEBACK=crash asks
// for one: Go writes none without it, but a signal from outside would.
func keepPrivate() {
	syscall.Umask(0o077)
	if os.Getenv("GOTRACEBACK") != "crash" {
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // lowering cannot fail but for a kernel that has none
	}
}
