package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// probeEnv makes the test binary publish and tell how long that took: "addr token".
// It is a process of its own, so that the goroutines of the sinks, which are in the
// test's, do not hold it up.
const probeEnv = "TIDEMILL_TEST_PROBE"

const probePause = 10 * time.Millisecond

// ack is one publish of the probe.
type ack struct {
	began time.Time
	took  time.Duration
}

// runProbe publishes 100 messages a second, each at its time whatever became of those
// before (open loop), until in ends. Then it writes a line for each.
func runProbe(target string, in io.Reader, out io.Writer) error {
	var p publisher
	if _, err := fmt.Sscan(target, &p.addr, &p.token); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	var mu sync.Mutex
	var acks []ack
	var wg sync.WaitGroup
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-tick.C:
			wg.Go(func() {
				a := ack{began: time.Now()}
				p.post("http://127.1.0.1/later", map[string]string{"Upstash-Delay": "1d"})
				a.took = time.Since(a.began)
				mu.Lock()
				defer mu.Unlock()
				acks = append(acks, a)
			})
		}
	}
	wg.Wait()
	if n := p.failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d publishes failed", n, len(acks))
	}
	for _, a := range acks {
		fmt.Fprintln(out, a.began.UnixNano(), int64(a.took))
	}
	return nil
}

// probe is the running process.
type probe struct {
	cmd      *exec.Cmd
	in       io.Closer
	out, err bytes.Buffer
}

func startProbe(t *testing.T, addr, token string) *probe {
	t.Helper()
	p := &probe{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = cleanEnv(probeEnv + "=" + addr + " " + token)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // if the test failed before stop
	return p
}

// stop ends the probe and returns what it found.
func (p *probe) stop(t *testing.T) (acks []ack) {
	t.Helper()
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("the publishes beside the herd: %v: %s", err, p.err.String())
	}
	for lines := bufio.NewScanner(&p.out); lines.Scan(); {
		var began, took int64
		if _, err := fmt.Sscan(lines.Text(), &began, &took); err != nil {
			t.Fatalf("the probe wrote %q: %v", lines.Text(), err)
		}
		acks = append(acks, ack{time.Unix(0, began), time.Duration(took)})
	}
	return acks
}

// describeAcks tells of the publishes that began before or after a moment.
func describeAcks(acks []ack, moment time.Time, after bool) string {
	var some []ack
	for _, a := range acks {
		if a.began.Before(moment) != after {
			some = append(some, a)
		}
	}
	if len(some) == 0 {
		return "none"
	}
	slices.SortFunc(some, func(a, b ack) int { return int(a.took - b.took) })
	var b strings.Builder
	fmt.Fprintf(&b, "%d publishes, p50 %v, p99 %v, max %v", len(some), micros(some[len(some)/2].took),
		micros(some[len(some)*99/100].took), micros(some[len(some)-1].took))
	if after {
		fmt.Fprintf(&b, " at +%v", some[len(some)-1].began.Sub(moment).Round(100*time.Millisecond))
	}
	return b.String()
}

func micros(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
