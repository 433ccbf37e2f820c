package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/limits"
)

// stormServer starts a server with extra flags under a command, and a destination that
// counts what arrives, each message once.
func stormServer(t *testing.T, under, env []string, args ...string) (p *process, pub *publisher, sink *countingSink) {
	t.Helper()
	addr := freeAddr(t)
	dir := filepath.Join(t.TempDir(), "data")
	p = launchUnder(t, under, env, append([]string{
		"serve", "--data", dir, "--listen", addr, "--admin.listen", "off",
		"--destinations.allow", "127.0.0.0/8", "--log.segment-size", "4MiB",
	}, args...)...)
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	sink = new(countingSink)
	sink.url = listenHost(t, "127.0.0.2", sink.arrive)
	return p, &publisher{addr: addr, token: readCredentials(t, dir).Token}, sink
}

// countingSink knows which messages it got.
type countingSink struct {
	url  string
	mu   sync.Mutex
	seen map[uint64]bool
}

func (s *countingSink) arrive(ctx *fasthttp.RequestCtx) {
	seq, err := seqOf(string(ctx.RequestURI()))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[uint64]bool)
	}
	s.seen[seq] = true
}

// missing counts the messages of a list that did not arrive.
func (s *countingSink) missing(acked []uint64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range acked {
		if !s.seen[seq] {
			n++
		}
	}
	return n
}

// allArrive waits until every acknowledged message has arrived.
func (s *countingSink) allArrive(t *testing.T, acked []uint64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.missing(acked) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d acknowledged messages did not arrive", s.missing(acked), len(acked))
		}
	}
}

// needDescriptors skips a test that this process is not allowed to make.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	if got := limits.OpenFiles(); got < n {
		t.Skipf("this process may open %d files, %d are needed", got, n)
	}
}

// TestFewDescriptors is P35: with 256 descriptors and 2,000 connections that all
// publish, some requests are refused, the server stays, its log and its index go on,
// and nothing that was acknowledged is lost.
func TestFewDescriptors(t *testing.T) {
	builtBinary(t)
	const limit, clients, each = 256, 2000, 100 // a hundred of 64 clients fill a segment
	needDescriptors(t, clients+500)
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("no prlimit here")
	}
	p, pub, sink := stormServer(t, []string{prlimit, fmt.Sprintf("--nofile=%d", limit)}, nil)
	var (
		mu     sync.Mutex
		acked  []uint64
		most   atomic.Int64
		stop   = make(chan struct{})
		wg     sync.WaitGroup
		opened sync.WaitGroup
	)
	wg.Go(func() {
		for {
			most.Store(max(most.Load(), int64(openFiles(p.pid()))))
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	var publishers sync.WaitGroup
	opened.Add(clients)
	for i := range clients {
		publishers.Go(func() {
			c, err := net.Dial("tcp", pub.addr)
			opened.Done()
			if err != nil {
				return
			}
			defer c.Close()
			opened.Wait() // all are connected, or were refused
			for k := range each {
				seq := uint64(i*each + k + 1)
				if !pub.postRaw(c, destination(sink.url, seq)) {
					return
				}
				mu.Lock()
				acked = append(acked, seq)
				mu.Unlock()
			}
		})
	}
	publishers.Wait()
	close(stop)
	wg.Wait()
	if len(acked) == 0 || len(acked) == each*clients {
		t.Errorf("%d of %d publishes were acknowledged: want some, and some refused", len(acked), each*clients)
	}
	if !pub.post(destination(sink.url, each*clients+1), nil) {
		t.Error("a publish after the storm is refused")
	}
	sink.allArrive(t, append(acked, each*clients+1))
	t.Logf("%d of %d publishes acknowledged, at most %d descriptors", len(acked), each*clients, most.Load())
	p.stop(t)
	for _, word := range []string{"too many open files", "ERROR"} {
		if strings.Contains(p.stderr.String(), word) {
			t.Errorf("%q in its log:\n%.2000s", word, p.stderr.String())
		}
	}
}

// openFiles is how many descriptors a process has open, 0 if that is not known.
func openFiles(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

// postRaw publishes on a connection of the caller's, and reports whether the message
// was acknowledged.
func (p *publisher) postRaw(c net.Conn, target string) bool {
	p.once.Do(p.init)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err := fmt.Fprintf(c, "POST /v2/publish/%s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		target, p.token, len(p.body), p.body)
	if err != nil {
		return false
	}
	answer := make([]byte, 1024)
	n, err := io.ReadAtLeast(c, answer, len("HTTP/1.1 200"))
	return err == nil && strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") && strings.Contains(string(answer[:n]), "}")
}

// TestIdleUploadsRealMemory is P42 on the process: 2,000 uploads of 4 MB without a
// token that go silent, and as many half heads, leave the resident set below 64 MiB
// more than it was.
func TestIdleUploadsRealMemory(t *testing.T) {
	builtBinary(t)
	const clients, bound = 2000, 64 * config.MiB
	needDescriptors(t, clients+500)
	p, pub, sink := stormServer(t, nil, nil, "--message.max-size", "8MiB", "--log.segment-size", "16MiB")
	before, _ := residentSet(t, p.pid())
	for name, head := range map[string]string{
		"uploads":    "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nContent-Length: 4000000\r\n\r\n" + strings.Repeat("x", 5000),
		"half heads": "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nX: " + strings.Repeat("x", 5000),
	} {
		open := make([]net.Conn, 0, clients)
		for range clients {
			c, err := net.Dial("tcp", pub.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, head)
			open = append(open, c)
		}
		if !pub.post(destination(sink.url, 1), nil) {
			t.Errorf("%s: a publish beside them fails", name)
		}
		_, most := residentSet(t, p.pid())
		t.Logf("%d %s: resident %s before, %s at most", clients, name, mibs(before), mibs(most))
		if most-before > bound {
			t.Errorf("%s: the resident set grew by %s, want %s at most", name, mibs(most-before), config.FormatSize(bound))
		}
		for _, c := range open {
			c.Close()
		}
	}
	sink.allArrive(t, []uint64{1})
	p.stop(t)
}

// TestLittleMemory is P36: with a memory limit of 128 MiB, 256 clients that send bodies
// of 256 KiB as fast as they can, and 2,000 silent connections, the server sheds load
// and stays within a fifth of the limit; what it acknowledged arrives.
func TestLittleMemory(t *testing.T) {
	builtBinary(t)
	const limit, clients, each, silent = 128 * config.MiB, 256, 4, 2000
	needDescriptors(t, clients+silent+500)
	p, pub, sink := stormServer(t, nil, []string{fmt.Sprintf("GOMEMLIMIT=%d", limit)})
	for range silent {
		c, err := net.Dial("tcp", pub.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nX: ")
	}
	pub.once.Do(pub.init)
	pub.body = make([]byte, 256<<10)
	rand.NewChaCha8([32]byte{2}).Read(pub.body) // never fails; does not compress
	var mu sync.Mutex
	var acked []uint64
	var publishers sync.WaitGroup
	for i := range clients {
		publishers.Go(func() {
			for k := range each {
				seq := uint64(i*each + k + 1)
				if pub.post(destination(sink.url, seq), nil) {
					mu.Lock()
					acked = append(acked, seq)
					mu.Unlock()
				}
			}
		})
	}
	publishers.Wait()
	if len(acked) == 0 || len(acked) == clients*each {
		t.Errorf("%d of %d publishes were acknowledged: want some, and some refused", len(acked), clients*each)
	}
	sink.allArrive(t, acked)
	_, most := residentSet(t, p.pid())
	t.Logf("%d of %d publishes acknowledged, resident %s at most", len(acked), clients*each, mibs(most))
	if most > limit+limit/5 {
		t.Errorf("the resident set went to %s, with a limit of %s", mibs(most), config.FormatSize(limit))
	}
	p.stop(t)
}
