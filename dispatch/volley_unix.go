//go:build unix

package dispatch

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// A volley writes a request and reads the beginning of its answer in one turn with the
// runtime's poller. One after the other they cost a system call more: there is the look
// whether a kept connection is still quiet, and there is a read right after the write
// that finds nothing, since an answer takes longer than that.
//
// The order is what keeps it from waiting for ever: RawConn.Read forgets what the poller
// noticed before, and then calls step. What arrives after the request was written is
// noticed anew, so the read that is left out misses nothing; what arrived before is found by
// the look.
type volley struct {
	step func(fd uintptr) (done bool) // advance, made once to keep attempts free of allocations

	begun bool
	kept  bool // the connection: what is early makes it stale
	early bool // before the request there was something to read, or the end: an answer to nothing

	out  *[]byte // what is not sent, as far as sent; nil: nothing is left
	sent int
	err  error // of writing

	in      *readBuffer // nil until there is something
	n       int
	readErr error
}

func (v *volley) init() { v.step = v.advance }

// volleys says whether the request goes out by a volley: it is small, and goes over plain
// TCP.
func (x *exchange) volleys() bool {
	_, plain := x.conn.Conn.(*net.TCPConn)
	return plain && x.conn.raw != nil && len(x.a.Body) <= inlineBytes
}

// sendVolley is sendReceive by a volley.
func (x *exchange) sendVolley() (keep bool, err error) {
	v := &x.volley
	v.kept, v.out = x.kept, requests.Get().(*[]byte)
	x.fill(v.out)
	defer v.release()
	switch err = x.conn.raw.Read(v.step); {
	case v.early && v.kept:
		return false, errStale
	case v.out == nil:
		x.phase = waiting
		keep, err = x.receiveFirst(v, err)
		return x.settle(keep && !v.early, err, nil)
	case err != nil:
		return x.settle(false, err, nil)
	}
	sendErr := x.lastRead(x.sendRest(v))
	x.phase = waiting
	keep, err = x.receive()
	return x.settle(keep && !v.early, err, sendErr)
}

// sendRest writes what the socket's buffer had no room for.
func (x *exchange) sendRest(v *volley) error {
	if v.err != nil && !errors.Is(v.err, syscall.EAGAIN) {
		return v.err
	}
	_, err := x.conn.Write((*v.out)[max(v.sent, 0):])
	return err
}

// receiveFirst goes on with what the volley has read; err is why it could not.
func (x *exchange) receiveFirst(v *volley, err error) (keep bool, _ error) {
	if err == nil {
		err = v.readErr
	}
	if err == nil && v.n == 0 {
		err = io.EOF
	}
	if err != nil {
		v.n = 0
	}
	x.reads++
	n, err := x.took(v.n, err)
	if err != nil {
		return false, err
	}
	return x.parse(v.in[:n])
}

func (v *volley) release() {
	if v.out != nil {
		putRequest(v.out)
	}
	if v.in != nil {
		readBuffers.Put(v.in)
	}
	*v = volley{step: v.step}
}

// advance is called with the connection's descriptor: to begin with, and then whenever
// there may be something to read.
func (v *volley) advance(fd uintptr) (done bool) {
	if v.begun {
		return v.read(int(fd))
	}
	v.begun = true
	if v.early = !peekQuiet(fd); v.early && v.kept {
		return true
	}
	v.sent, v.err = retried(syscall.Write, int(fd), *v.out)
	if v.err != nil || v.sent < len(*v.out) {
		return true
	}
	putRequest(v.out)
	v.out = nil
	return v.early && v.read(int(fd)) // a server that is overloaded answers at once, and is not heard of again
}

func (v *volley) read(fd int) (done bool) {
	if v.in == nil {
		v.in = readBuffers.Get().(*readBuffer)
	}
	v.n, v.readErr = retried(syscall.Read, fd, v.in[:])
	return !errors.Is(v.readErr, syscall.EAGAIN)
}

// retried makes a system call again that a signal interrupted.
func retried(call func(fd int, p []byte) (int, error), fd int, p []byte) (n int, err error) {
	for {
		if n, err = call(fd, p); err != syscall.EINTR {
			return n, err
		}
	}
}
