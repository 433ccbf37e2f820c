//go:build unix

package wal

import (
	"os"
	"syscall"
)

// links returns the number of names a file has. File systems that cannot say, as
// those in memory, have one for each file.
func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
