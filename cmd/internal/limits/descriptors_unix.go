//go:build unix

package limits

import "syscall"

// OpenFiles is how many files and connections this process may have open at one
// time, 0 if that cannot be told. Go has raised it to the hard limit by now.
func OpenFiles() uint64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return uint64(r.Cur)
}
