package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/bench"
)

var halfway = bench.Progress{
	Side: "server", Concurrency: 64, Step: 3, Steps: 10, Doing: "measuring",
	Elapsed: 1200 * time.Millisecond, Length: 2 * time.Second, Rate: 31204, P50: 8100 * time.Microsecond, P99: 21 * time.Millisecond, Failed: 1,
}

func TestLiveLineOffATerminal(t *testing.T) {
	var out bytes.Buffer
	l := newLiveLine(&out)
	if l.width != 0 || l.every != liveEvery {
		t.Fatalf("a buffer of %d columns, a line each %v", l.width, l.every)
	}
	l.every = time.Hour
	for range 3 { // the second and third come too soon
		l.show(halfway)
	}
	l.every = 0
	l.show(bench.Progress{Side: "echo", Concurrency: 64, Step: 4, Steps: 10, Doing: "warming up"})
	fmt.Fprintln(l, "logged")
	l.clear()
	want := "server c=64, round 3 of 10, measuring 1.2 of 2.0 s: 31204/s, p50 8.10ms, p99 21.00ms, 1 failed\n" +
		"echo c=64, round 4 of 10, warming up\n" +
		"logged\n"
	if out.String() != want {
		t.Fatalf("got %q, want %q", out.String(), want)
	}
}

func TestLiveLineOnATerminal(t *testing.T) {
	var out bytes.Buffer
	l := &liveLine{w: &out, width: 30}
	l.show(halfway)
	l.show(halfway)
	fmt.Fprintln(l, "logged")
	l.clear()
	l.show(halfway)
	l.clear()
	const line, gone = "\r\x1b[Kserver c=64, round 3 of 10, m", "\r\x1b[K"
	if want := line + line + gone + "logged\n" + line + gone; out.String() != want {
		t.Fatalf("got %q, want %q", out.String(), want)
	}
	if strings.Contains(line, "\n") || len(line)-len(gone) >= l.width {
		t.Fatal("the line does not fit")
	}
}
