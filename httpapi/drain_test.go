package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestDrain: while a server drains, connections that are kept alive and ones that were
// just accepted get an answer each, their last; what is left at its end is closed, and a
// new connection waits in the listener's socket, if somebody else holds that as well.
func TestDrain(t *testing.T) {
	held := holdSocket(t)
	s := startOn(t, held.again(t), nil)
	kept, fresh, silent := s.dial(t), s.dial(t), s.dial(t)
	keptReader := bufio.NewReader(kept)
	fmt.Fprint(kept, request("GET /v2/keys"))
	if a := readAnswer(t, keptReader, "GET"); a.StatusCode != 200 || a.Close {
		t.Fatalf("before: %d, close %t", a.StatusCode, a.Close)
	}
	waitFor(t, func() bool { return connections(s.Server) == 3 })

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	waitFor(t, s.draining.Load)
	for name, c := range map[string]net.Conn{"kept": kept, "fresh": fresh} {
		fmt.Fprint(c, requestBody("POST /v2/publish/http://h", name))
		if a := readAnswer(t, bufio.NewReader(c), "POST"); a.StatusCode != 200 || !a.Close {
			t.Errorf("%s: %d %s, close %t", name, a.StatusCode, a.body, a.Close)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s goes on", name)
		}
	}
	later := s.dial(t) // into the backlog
	fmt.Fprint(later, request("GET /v2/keys"))
	select {
	case err := <-drained:
		t.Fatalf("drained with a connection open: %v", err)
	default:
	}
	cancel()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection goes on")
	}

	startOn(t, held.again(t), nil)
	if a := readAnswer(t, bufio.NewReader(later), "GET"); a.StatusCode != 200 {
		t.Errorf("after the restart: %d %s", a.StatusCode, a.body)
	}
}

// heldSocket is a listening socket that outlives the servers that accept from it.
type heldSocket struct{ *net.TCPListener }

func holdSocket(t *testing.T) heldSocket {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return heldSocket{ln.(*net.TCPListener)}
}

// again is what the manager passes to the next process.
func (h heldSocket) again(t *testing.T) net.Listener {
	t.Helper()
	file, err := h.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func connections(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// TestDrainUnderLoad: clients that open a connection for each request meet a server that
// is replaced again and again, behind one socket. Every request is answered.
func TestDrainUnderLoad(t *testing.T) {
	held := holdSocket(t)
	var stop atomic.Bool
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if err := oneRequest(held.Addr().String()); err != nil {
					t.Errorf("after %d answers: %v", answered.Load(), err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for range 20 {
		s := startOn(t, held.again(t), nil)
		for want := answered.Load() + 50; answered.Load() < want && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := s.Drain(ctx); err != nil || ctx.Err() != nil {
			t.Errorf("drain: %v, %v", err, ctx.Err())
		}
		cancel()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	startOn(t, held.again(t), nil) // for those that wait in the socket
	clients.Wait()
	t.Logf("%d requests over 20 servers", answered.Load())
}

// oneRequest makes a request on a connection of its own.
func oneRequest(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(c, requestBody("POST /v2/publish/http://h", "x")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "HTTP/1.1 200 OK\r\n" {
		err = fmt.Errorf("answered %q", line)
	}
	return err
}
