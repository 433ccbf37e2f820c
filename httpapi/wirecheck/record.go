package wirecheck

import (
	"io"
	"net"
	"sync"
)

// recordMax bounds what is kept of a connection, bytes of each direction. What follows
// is not checked.
const recordMax = 4 << 20

// Recorder keeps what goes over connections. It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	conns []*recorded
}

// recorded is what went over one connection.
type recorded struct {
	mu      sync.Mutex
	in, out []byte
}

func (r *recorded) add(to *[]byte, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, b[:min(len(b), recordMax-len(*to))]...)
}

func (r *Recorder) begin() *recorded {
	c := new(recorded)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	return c
}

// Exchanges returns what was recorded up to now and forgets it. It is to be called
// when the connections are over: what is under way is cut.
func (r *Recorder) Exchanges() (list []Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.mu.Lock()
		list = append(list, Cut(c.in, c.out)...)
		c.mu.Unlock()
	}
	r.conns = nil
	return list
}

// Listen returns ln with a record of its connections.
func (r *Recorder) Listen(ln net.Listener) net.Listener { return &listener{ln, r} }

type listener struct {
	net.Listener
	r *Recorder
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{nc, l.r.begin()}, nil
}

// conn is a connection as its server has it.
type conn struct {
	net.Conn
	r *recorded
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.r.add(&c.r.in, p[:n])
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.r.add(&c.r.out, p[:n])
	return n, err
}

// CloseWrite is there because the server looks for it.
func (c *conn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Proxy passes connections on to the server at addr until the listener is closed, and
// returns when they are over.
func (r *Recorder) Proxy(ln net.Listener, addr string) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		client, err := ln.Accept()
		if err != nil {
			return err
		}
		conns.Go(func() { r.pass(client, addr) })
	}
}

func (r *Recorder) pass(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	c := &conn{client, r.begin()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, onlyReader{c}) //nolint:errcheck // who reads the answer sees it
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(onlyWriter{c}, server) //nolint:errcheck
	client.Close()                 // ends the other direction
	<-done
}

// onlyReader and onlyWriter keep io.Copy from going past the record.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)
