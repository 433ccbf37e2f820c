package bench

import (
	"os"
	"syscall"
)

// dataSync makes what was written durable, and no more: fdatasync(2).
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
