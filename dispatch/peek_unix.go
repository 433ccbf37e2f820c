//go:build unix

package dispatch

import "syscall"

// peekQuiet is true if reading fd would block: the connection is open and
// nothing has arrived.
func peekQuiet(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
