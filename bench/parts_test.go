package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBodies(t *testing.T) {
	b := newBodies(100)
	body := b.blank()
	b.put(body, 2, 77)
	s, ours, err := b.read(body)
	if err != nil || !ours || s.side != 2 || s.seq != 77 || s.from <= 0 {
		t.Fatalf("%+v %v %v", s, ours, err)
	}
	for i := range body {
		damaged := append([]byte(nil), body...)
		damaged[i] ^= 0x80
		got, ours, err := b.read(damaged)
		if err == nil && ours && got == s {
			t.Fatalf("byte %d was changed and nobody saw it", i)
		}
		if i >= stampBytes && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if _, _, err := b.read(body[:99]); !errors.Is(err, ErrCorrupt) {
		t.Fatal("a short body was taken")
	}
	if _, ours, err := newBodies(100).read(body); ours || err != nil {
		t.Fatalf("another run's body: ours %v, %v", ours, err)
	}
}

// Whatever the order of publish, answer and arrival, the backlog is released once
// and what was acked and did not arrive is missing.
func TestLedger(t *testing.T) {
	const backlog, messages = 8, 20_000
	l := newLedger(backlog)
	stop := make(chan struct{})
	var lost, duplicates int64
	var wg sync.WaitGroup
	r := rand.New(rand.NewPCG(1, 1))
	for range messages {
		seq, err := l.open(stop)
		if err != nil {
			t.Fatal(err)
		}
		ok, comes, twice := r.IntN(10) > 0, r.IntN(5000) > 0, r.IntN(10) == 0
		switch {
		case ok && !comes:
			lost++
			if lost == backlog {
				t.Fatal("the seed loses as many as the backlog holds")
			}
		case comes && twice:
			duplicates++
		}
		wg.Go(func() {
			if ok {
				l.ack(seq)
			} else {
				l.abandon(seq)
			}
		})
		wg.Go(func() {
			for n := 0; comes && n < 1+map[bool]int{true: 1}[twice]; n++ {
				if _, err := l.arrive(seq); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l.missing() != lost || l.duplicates.Load() != duplicates || int64(len(l.room)) != lost {
		t.Fatalf("missing %d of %d, duplicates %d of %d, under way %d",
			l.missing(), lost, l.duplicates.Load(), duplicates, len(l.room))
	}
	if _, err := l.arrive(messages); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a number that was never given out: %v", err)
	}
	for int64(len(l.room)) < backlog {
		if _, err := l.open(stop); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if _, err := l.open(stop); !errors.Is(err, errStopped) {
		t.Fatalf("a full backlog: %v", err)
	}
}

func TestMeterCountsOnlyWhenOn(t *testing.T) {
	m := newMeter()
	m.record(1, time.Millisecond)
	m.on.Store(true)
	for i := range uint64(1000) {
		m.record(i, time.Duration(i)*time.Millisecond)
	}
	m.record(5, time.Hour)
	m.record(6, -time.Hour)
	m.on.Store(false)
	m.record(1, time.Millisecond)
	h := m.take()
	if h.TotalCount() != 1002 {
		t.Fatalf("%d events", h.TotalCount())
	}
	if p := quantile(h, 50); p < 495*time.Millisecond || p > 505*time.Millisecond {
		t.Fatalf("p50 is %v", p)
	}
	if top := time.Duration(h.Max()); top < time.Minute || top > 61*time.Second {
		t.Fatalf("the longest is %v", top)
	}
}

func TestParseStat(t *testing.T) {
	stat := "4242 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15"
	if got, ok := parseStat([]byte(stat)); !ok || got != 3*time.Second {
		t.Fatalf("got %v, %v", got, ok)
	}
	for _, bad := range []string{"", "1 (x)", "1 (x) S 1 2", strings.Replace(stat, "250", "x", 1)} {
		if got, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: got %v", bad, got)
		}
	}
	if _, ok := cpuTime(0); ok {
		t.Error("process 0 has a CPU time")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	if _, ok := cpuTime(os.Getpid()); !ok {
		t.Error("this process has no CPU time")
	}
}

func TestPostHead(t *testing.T) {
	s := Server{Token: "tok"}
	got := string(publishHead(s, "127.0.0.1:80", "http://h/a//b?x=1", 1024, "Upstash-Delay: 60s"))
	want := "POST /v2/publish/http://h/a//b?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUpstash-Delay: 60s\r\n" +
		"Content-Type: application/octet-stream\r\nAuthorization: Bearer tok\r\nContent-Length: 1024\r\n\r\n"
	if got != want {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var b tail
	for range 1000 {
		b.Write([]byte("0123456789"))
	}
	b.Write([]byte("the reason\n"))
	if s := b.String(); len(s) > stderrKept || !strings.HasSuffix(s, "789the reason") {
		t.Fatalf("%d bytes: %q", len(s), s)
	}
}

// TestServeEndsBeforeItBegan: a role whose context has ended ends, also where the end comes
// before fasthttp has taken the listener over.
func TestServeEndsBeforeItBegan(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := ServeSink(ctx, ln); err != nil {
			t.Fatal(err)
		}
	}
}
