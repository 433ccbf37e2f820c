package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestCrash kills the real binary with SIGKILL at random moments under load,
// restarts it on the same directory, and checks that what was acknowledged is
// delivered: every message at least once, with its exact body, not before its
// time, and nothing that nobody sent. SIGKILL proves nothing about fsync, since
// the page cache survives it; the engine's power-cut simulation does that.
//
//	TIDEMILL_CRASH_SECONDS   how long the rounds last; 8 by default
//	TIDEMILL_CRASH_SEED      repeats the choices of a run (not its timing)
//	TIDEMILL_CRASH_ROUNDS    fail below so many kills
//	TIDEMILL_CRASH_ACKED     fail below so many acknowledged messages
//
// A publish without an answer has an unknown outcome: its message may come or
// not. A message may come twice if its attempt was under way at a kill, or if its
// outcome was not on disk yet, of which L5 allows 4,096.
func TestCrash(t *testing.T) {
	builtBinary(t)
	seed := envNumber(t, "TIDEMILL_CRASH_SEED", rand.Uint64())
	seconds := envNumber(t, "TIDEMILL_CRASH_SECONDS", 8)
	t.Logf("seed %d (TIDEMILL_CRASH_SEED repeats its choices), %d seconds", seed, seconds)

	c := newCrash(t, seed)
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end) && !t.Failed(); {
		c.round()
	}
	c.finish()
	c.report()
	if want := envNumber(t, "TIDEMILL_CRASH_ROUNDS", 1); uint64(c.kills.inFlight+c.kills.inRecovery) < want {
		t.Errorf("%d kills, want %d", c.kills.inFlight+c.kills.inRecovery, want)
	}
	if want := envNumber(t, "TIDEMILL_CRASH_ACKED", 1); uint64(c.book.acked.Load()) < want {
		t.Errorf("%d acknowledged messages, want %d", c.book.acked.Load(), want)
	}
}

func envNumber(t testing.TB, name string, def uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

const (
	crashHosts       = 4
	crashPublishers  = 32
	crashParallelism = 256
	undurableMax     = 4096 // outcomes, L5
	backlogMax       = 10_000
)

// crash is one run of TestCrash. It is owned by the test's goroutine; book, gate
// and sinks are shared with publishers and destinations.
type crash struct {
	t     *testing.T
	rnd   *rand.Rand
	args  []string
	book  *book
	sinks *sinks
	load  *load
	proc  *process

	kills struct {
		inFlight, inRecovery, idle int
	}
	started    time.Duration // how long the last start took, until it served
	mayRepeat  int64         // sum over the kills of what may come twice
	duplicates int64         // at the last kill
	most       int64         // duplicates between two kills
}

func newCrash(t *testing.T, seed uint64) *crash {
	addr := freeAddr(t)
	dir := filepath.Join(t.TempDir(), "data")
	c := &crash{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)),
		args: []string{
			"serve", "--data", dir, "--listen", addr, "--admin.listen", "off",
			"--destinations.allow", "127.0.0.0/8", "--log.segment-size", "16MiB",
			"--delivery.parallelism", strconv.Itoa(crashParallelism),
			"--delivery.host-parallelism", strconv.Itoa(crashParallelism / crashHosts),
		},
		book: newBook(seed),
	}
	c.sinks = openSinks(t, crashHosts, c.book)
	c.up()
	c.load = startLoad(t, addr, readCredentials(t, dir).Token, c.book, c.sinks, seed)
	c.load.gate.open()
	return c
}

// up starts the server and waits until it serves.
func (c *crash) up() {
	c.t.Helper()
	began := time.Now()
	c.proc = launch(c.t, nil, c.args...)
	if err := c.proc.ready(60 * time.Second); err != nil {
		c.t.Fatalf("start after %d kills: %v", c.kills.inFlight+c.kills.inRecovery, err)
	}
	c.started = time.Since(began)
}

// round lets the load run for a moment, kills the server and starts it again.
// About one kill in six hits a server that is still recovering from the last.
func (c *crash) round() {
	time.Sleep(time.Duration(100+c.rnd.IntN(1500)) * time.Millisecond) // the random moment, not a wait
	c.mayRepeat += c.sinks.open.Load() + c.load.open.Load() + crashParallelism + undurableMax
	if c.sinks.open.Load()+c.load.open.Load() > 0 {
		c.kills.inFlight++
	} else {
		c.kills.idle++
	}
	c.load.gate.close()
	c.proc.kill()
	c.countDuplicates()
	for c.rnd.IntN(6) == 0 {
		p := launch(c.t, nil, c.args...)
		time.Sleep(time.Duration(c.rnd.Int64N(int64(c.started) + 1)))
		if p.stdout.String() == "" { // it prints when it serves
			c.kills.inRecovery++
		} else {
			c.kills.idle++
		}
		p.kill()
		c.mayRepeat += crashParallelism + undurableMax
	}
	c.up()
	c.load.gate.open()
}

func (c *crash) countDuplicates() {
	d := c.book.duplicates.Load()
	c.most = max(c.most, d-c.duplicates)
	c.duplicates = d
}

// finish stops publishing and waits until everything that was acknowledged has
// come: the longest delay and a retry, with much room for a slow machine.
func (c *crash) finish() {
	c.load.stop()
	began, left := time.Now(), c.book.outstanding()
	deadline := time.After(2 * time.Minute)
	for c.book.outstanding() > 0 {
		select {
		case <-c.book.settled():
		case <-deadline:
			c.t.Errorf("%d acknowledged messages were not delivered, among them %v", c.book.outstanding(), c.book.missing(10))
			return
		}
	}
	c.t.Logf("the last %d messages came within %v", left, time.Since(began).Round(time.Millisecond))
	c.proc.stop(c.t)
	c.countDuplicates()
}

func (c *crash) report() {
	b := c.book
	for _, complaint := range b.complaints() {
		c.t.Error(complaint)
	}
	if b.duplicates.Load() > c.mayRepeat {
		c.t.Errorf("%d duplicates, allowed are %d", b.duplicates.Load(), c.mayRepeat)
	}
	c.t.Logf("kills: %d in flight, %d in recovery, %d idle; published %d, acked %d, unknown %d, refused %d; attempts failed on purpose %d; lost %d; duplicates %d (at most %d for one kill)",
		c.kills.inFlight, c.kills.inRecovery, c.kills.idle, b.next.Load(), b.acked.Load(), c.load.unknown.Load(), c.load.refused.Load(),
		b.failed.Load(), b.outstanding(), b.duplicates.Load(), c.most)
}

// destination of a message: its number is in the path, so that a body that is
// damaged does not hide which one it was.
func destination(base string, seq uint64) string {
	return base + "/" + strconv.FormatUint(seq, 10)
}

func seqOf(target string) (uint64, error) {
	u, err := url.Parse(target)
	if err != nil || len(u.Path) < 2 {
		return 0, fmt.Errorf("target %q holds no number", target)
	}
	return strconv.ParseUint(u.Path[1:], 10, 64)
}
