//go:build !unix

package httpapi

// init leaves turns out: they need system calls that block on nothing.
func (*turn) init(*conn) {}

// readAtHand is not called.
func readAtHand(int, []byte) (int, error) { return 0, errDry }
