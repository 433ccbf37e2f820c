package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// benchOnly skips what `make isolation` runs: it takes a minute and measures.
func benchOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("TIDEMILL_ISOLATION") == "" {
		t.Skip("a measurement: run it with `make isolation`")
	}
	builtBinary(t)
}

// TestIsolation measures what one destination that accepts and never answers
// costs another, when each gets half of the messages: throughput and p99 of the
// healthy one, over what they are when the same other half is published and not
// yet due, so that all that differs is the dead host. It prints the ratios and
// asserts none, since a timing asserted on a shared machine proves nothing. Rounds
// of both kinds alternate, each on a fresh server, and the medians are compared.
func TestIsolation(t *testing.T) {
	benchOnly(t)
	const rounds = 3
	var fast, paced [2][]float64 // rates and p99s; [0] without, [1] with the dead host
	for range rounds {
		for side, hang := range []bool{false, true} {
			rate, _ := isolationRound(t, hang, 0)
			_, p99 := isolationRound(t, hang, 1000)
			fast[side] = append(fast[side], rate)
			paced[side] = append(paced[side], p99)
		}
	}
	t.Logf("healthy destination, without and with one that never answers (medians of %d rounds):", rounds)
	t.Logf("throughput, closed loop: %.0f/s and %.0f/s: ratio %.2f (at least 0.77 is wanted)",
		median(fast[0]), median(fast[1]), median(fast[1])/median(fast[0]))
	t.Logf("p99 from publish to arrival at 1000 messages/s: %.2f ms and %.2f ms: ratio %.2f (at most 1.3 is wanted)",
		median(paced[0]), median(paced[1]), median(paced[1])/median(paced[0]))
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// isolationRound publishes for a few seconds, every second message to a host that
// hangs, at once or in an hour, and returns arrivals per second at the healthy one
// and the p99 of its latencies in ms. perSecond 0 publishes as fast as 32 producers
// can with at most 1000 messages to the healthy host under way.
func isolationRound(t *testing.T, hang bool, perSecond int) (rate, p99 float64) {
	t.Helper()
	addr := freeAddr(t)
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, "serve", "--data", dir, "--listen", addr, "--admin.listen", "off",
		"--destinations.allow", "127.0.0.0/8", "--shutdown.timeout", "1s")
	defer p.stop(t)
	s := &stopwatch{sent: map[uint64]time.Time{}}
	healthy := listenHost(t, "127.0.0.2", s.arrive)
	other := hangingHost(t, "127.0.0.3")
	header := map[string]string{"Upstash-Delay": "1h"}
	if hang {
		header = nil
	}
	pub := &publisher{addr: addr, token: readCredentials(t, dir).Token}
	const lasts, warmUp = 4 * time.Second, time.Second
	began := time.Now()
	var producers sync.WaitGroup
	for i := range 32 {
		producers.Go(func() {
			for n := i; time.Since(began) < lasts; n += 32 {
				if perSecond > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))))
				}
				s.publish(pub, healthy)
				pub.post(other+"/x", header)
			}
		})
	}
	time.AfterFunc(warmUp, s.reset)
	producers.Wait()
	return s.result(lasts - warmUp)
}

// stopwatch measures from the moment before a publish to its arrival.
type stopwatch struct {
	mu   sync.Mutex
	next uint64
	sent map[uint64]time.Time
	took []float64 // ms
	room atomic.Int64
}

func (s *stopwatch) publish(p *publisher, base string) {
	for s.room.Load() > 1000 { // backlog at the healthy host, else latency is queueing alone
		time.Sleep(time.Millisecond)
	}
	s.mu.Lock()
	s.next++
	seq := s.next
	s.sent[seq] = time.Now()
	s.mu.Unlock()
	s.room.Add(1)
	p.post(destination(base, seq), nil)
}

func (s *stopwatch) arrive(ctx *fasthttp.RequestCtx) {
	at := time.Now()
	seq, err := seqOf(string(ctx.RequestURI()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent, ok := s.sent[seq]; ok && err == nil {
		delete(s.sent, seq)
		s.room.Add(-1)
		s.took = append(s.took, float64(at.Sub(sent))/float64(time.Millisecond))
	}
}

func (s *stopwatch) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = nil
}

func (s *stopwatch) result(lasted time.Duration) (rate, p99 float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		return 0, 0
	}
	slices.Sort(s.took)
	return float64(len(s.took)) / lasted.Seconds(), s.took[len(s.took)*99/100]
}

// publisher posts messages of 1 KiB, or of its own body.
type publisher struct {
	addr, token string
	once        sync.Once
	client      *fasthttp.HostClient
	body        []byte
	failed      atomic.Int64
}

func (p *publisher) init() {
	p.client = newHostClient(p.addr)
	p.body = make([]byte, 1024)
	var key [32]byte
	rand.NewChaCha8(key).Read(p.body) // does not compress
}

func (p *publisher) post(target string, header map[string]string) bool {
	p.once.Do(p.init)
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod("POST")
	req.Header.Set("Authorization", "Bearer "+p.token)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.SetRequestURI("http://" + p.addr + "/v2/publish/" + target)
	req.URI().DisablePathNormalizing = true
	req.SetBodyRaw(p.body)
	if err := p.client.Do(req, resp); err != nil || resp.StatusCode() != 200 {
		p.failed.Add(1)
		return false
	}
	return true
}

// hangingHost accepts connections and never says a word.
func hangingHost(t *testing.T, ip string) string {
	t.Helper()
	ln, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Skipf("this system has one loopback address only: %v", err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		var conns []net.Conn
		for {
			c, err := ln.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		accepted.Wait()
	})
	return "http://" + ln.Addr().String()
}

// TestBacklogMemory: 200,000 messages of 1 KiB that wait an hour leave the process
// below 200 MiB, after publishing and after a restart, since the backlog is on disk.
func TestBacklogMemory(t *testing.T) {
	benchOnly(t)
	const messages, limit = 200_000, 200 << 20
	addr := freeAddr(t)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"serve", "--data", dir, "--listen", addr, "--admin.listen", "off", "--destinations.allow", "127.0.0.0/8"}
	p := start(t, args...)
	pub := &publisher{addr: addr, token: readCredentials(t, dir).Token}
	began := time.Now()
	var next atomic.Int64
	var producers sync.WaitGroup
	for range 64 {
		producers.Go(func() {
			for next.Add(1) <= messages {
				pub.post("http://127.0.0.9:9/later", map[string]string{"Upstash-Delay": "1h"})
			}
		})
	}
	producers.Wait()
	if n := pub.failed.Load(); n > 0 {
		t.Errorf("%d publishes failed", n)
	}
	t.Logf("published in %v", time.Since(began).Round(time.Millisecond))
	for _, when := range []string{"after publishing", "after a restart"} {
		rss, peak := residentSet(t, p.pid())
		t.Logf("%s: resident %s, at most %s", when, mibs(rss), mibs(peak))
		if rss > limit {
			t.Errorf("%s: resident set of %s, want less than %s", when, mibs(rss), formatSize(limit))
		}
		p.stop(t)
		p = start(t, args...)
	}
	p.stop(t)
}

func mibs(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/mib) }

// residentSet reads VmRSS and VmHWM of a process, in bytes.
func residentSet(t *testing.T, pid int) (rss, peak int64) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			rss = kb * kib
		case "VmHWM:":
			peak = kb * kib
		}
	}
	return rss, peak
}
