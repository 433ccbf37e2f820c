//go:build !unix

package wal

import "os"

// links returns 1: hard links are a matter of Unix.
func links(os.FileInfo) uint64 { return 1 }
