//go:build unix

package main

import "syscall"

// keepPrivate makes every file of this process readable by its owner alone. A
// data directory that somebody else made may be open to all, and not only
// credentials.toml holds secrets: log and index have the signing keys.
func keepPrivate() { syscall.Umask(0o077) }
