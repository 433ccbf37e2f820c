package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCrash puts the real binary under load over HTTP, does harm to it at random
// moments, starts it again on the same directory, and checks that what was
// acknowledged is delivered: every message at least once, with its exact body, not
// before its time, and nothing that nobody sent. The harm is the mode's:
//
//	kill     SIGKILL. Proves nothing about fsync: the page cache survives it
//	power    a power cut: what was not synced is gone (loopDisk)
//	torn     SIGKILL, and blocks that were not synced hold something else
//	bitflip  SIGKILL or a clean stop, and one bit on the disk is another
//	eio      the n-th fdatasync fails, and the power goes
//	stall    the disk hangs for a while; nobody is killed
//	teeth    syncs do nothing, and the power goes: loss must be found
//	all      each of them
//
// Settings of a run:
//
//	TIDEMILL_CRASH_MODE      one or more modes, separated by commas; kill by default
//	TIDEMILL_CRASH_SECONDS   how long the rounds of each mode last; 8 by default. The
//	                         modes eio, stall and teeth take it as a hint
//	TIDEMILL_CRASH_SEED      repeats the choices of a run (not its timing)
//	TIDEMILL_CRASH_ROUNDS    fail below so many rounds of kill, power, torn or bitflip
//	TIDEMILL_CRASH_ACKED     fail below so many acknowledged messages of those modes
//	TIDEMILL_CRASH_KEEP      where the data directory of a run that failed is copied to
//
// A publish without an answer has an unknown outcome: its message may come or
// not. A message may come twice if its attempt was under way when the server
// ended, or if its outcome was not on disk yet, of which L5 allows 4,096.
func TestCrash(t *testing.T) {
	builtBinary(t)
	seed := envNumber(t, "TIDEMILL_CRASH_SEED", rand.Uint64())
	seconds := time.Duration(envNumber(t, "TIDEMILL_CRASH_SECONDS", 8)) * time.Second
	t.Logf("seed %d (TIDEMILL_CRASH_SEED repeats its choices), %v for each mode", seed, seconds)
	for _, name := range crashModeNames(t) {
		t.Run(name, func(t *testing.T) { crashModes[name](t, seed, seconds) })
	}
}

// crashModes are what TIDEMILL_CRASH_MODE may name.
var crashModes = map[string]func(t *testing.T, seed uint64, lasts time.Duration){
	"kill":    rounds(newKills),
	"power":   rounds(newPowerCuts),
	"torn":    rounds(newTornTails),
	"bitflip": rounds(newBitFlips),
	"eio":     rounds(newSyncErrors),
	"stall":   rounds(newStalls),
	"teeth":   teeth,
}

func crashModeNames(t *testing.T) []string {
	t.Helper()
	text := os.Getenv("TIDEMILL_CRASH_MODE")
	switch text {
	case "":
		return []string{"kill"}
	case "all":
		return slices.Sorted(maps.Keys(crashModes))
	}
	names := strings.Split(text, ",")
	for _, name := range names {
		if crashModes[name] == nil {
			t.Fatalf("TIDEMILL_CRASH_MODE: %q is no mode: choose from %v or say all", name, slices.Sorted(maps.Keys(crashModes)))
		}
	}
	return names
}

// rounds is a mode that goes through rounds of load and harm.
func rounds(newFault func(*testing.T, time.Duration) fault) func(*testing.T, uint64, time.Duration) {
	return func(t *testing.T, seed uint64, lasts time.Duration) {
		c := newCrash(t, seed, newFault(t, lasts))
		for end := time.Now().Add(lasts); !t.Failed() && c.goesOn(end); {
			c.round()
		}
		c.finish()
		c.report()
		if c.setup.rounds > 0 {
			return
		}
		if want := int(envNumber(t, "TIDEMILL_CRASH_ROUNDS", 1)); c.rounds < want {
			t.Errorf("%d rounds, want %d", c.rounds, want)
		}
		if want := int64(envNumber(t, "TIDEMILL_CRASH_ACKED", 1)); c.book.acked.Load() < want {
			t.Errorf("%d acknowledged messages, want %d", c.book.acked.Load(), want)
		}
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

// fault is the harm of a mode. The test's goroutine calls it.
type fault interface {
	// setup is asked once, before anything is started.
	setup() setup
	// under is the command to run the next start under, if any.
	under() []string
	// stretch is how long the load runs before the next strike.
	stretch(rnd *rand.Rand) time.Duration
	// attach is called once, before the first start.
	attach(c *crash)
	// strike does the harm. Publishers are held at the gate. A strike that the
	// server is not to survive ends the process before it returns.
	strike(p *process)
	// refused is told of a start that failed, and whether to try again. It fails
	// the test if the server should have started.
	refused(p *process, err error) (again bool)
	// started is told of a start that went well.
	started(p *process)
	// relent is called when there are no strikes to come. The server must be up and
	// in good order when it returns.
	relent()
	// mayBury says of an acknowledged message whether it may have become a dead
	// letter with this reason.
	mayBury(seq uint64, reason string) bool
	// report is a line of figures, or "".
	report() string
}

// setup is what a mode's run starts from.
type setup struct {
	dir        string   // to make the data directory in
	flags      []string // of the server, besides the usual ones
	rounds     int      // so many, however long they take; 0: time counts
	publishers int
	delayOneIn int // one message in so many is delayed
	delayMax   time.Duration
}

// usual is the setup of a mode that asks for nothing special. Small segments make
// starts fast and boundaries frequent.
func usual(dir string) setup {
	return setup{
		dir: dir, flags: []string{"--log.segment-size", "4MiB"},
		publishers: crashPublishers, delayOneIn: 4, delayMax: 1500 * time.Millisecond,
	}
}

// crash is one run of a mode. It is owned by the test's goroutine; book, gate
// and sinks are shared with publishers and destinations.
type crash struct {
	t     *testing.T
	rnd   *rand.Rand
	fault fault
	setup setup
	dir   string
	args  []string
	book  *book
	sinks *sinks
	load  *load
	proc  *process
	creds *credentials

	rounds     int           // strikes, of which
	recovering int           // hit a server that had not served yet
	idle       int           // hit one without a request or attempt in flight
	started    time.Duration // how long the last start took, until it served
	mayRepeat  int64         // sum over the strikes of what may come twice
	duplicates int64         // at the last strike
	most       int64         // duplicates between two strikes
}

func newCrash(t *testing.T, seed uint64, f fault) *crash {
	addr := freeAddr(t)
	s := f.setup()
	dir := filepath.Join(s.dir, "data")
	c := &crash{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), fault: f, setup: s, dir: dir,
		args: append([]string{
			"serve", "--data", dir, "--listen", addr, "--admin.listen", "off",
			"--destinations.allow", "127.0.0.0/8",
			"--delivery.parallelism", strconv.Itoa(crashParallelism),
			"--delivery.host-parallelism", strconv.Itoa(crashParallelism / crashHosts),
		}, s.flags...),
		book: newBook(seed),
	}
	c.sinks = openSinks(t, crashHosts, c.book)
	f.attach(c)
	t.Cleanup(c.keep)
	c.up()
	c.load = startLoad(t, addr, c.creds.Token, c.book, c.sinks, seed, s)
	c.load.gate.open()
	return c
}

// up starts the server and waits until it serves.
func (c *crash) up() {
	c.t.Helper()
	for {
		began := time.Now()
		c.proc = launchUnder(c.t, c.fault.under(), nil, c.args...)
		err := c.proc.ready(60 * time.Second)
		if err == nil {
			c.started = time.Since(began)
			break
		}
		if !c.fault.refused(c.proc, err) {
			c.t.Fatalf("start after %d strikes: %v", c.rounds, err)
		}
	}
	c.fault.started(c.proc)
	creds := readCredentials(c.t, c.dir)
	if c.creds != nil && *creds != *c.creds {
		c.t.Fatalf("after %d strikes the credentials are others", c.rounds)
	}
	c.creds = creds
}

func (c *crash) goesOn(end time.Time) bool {
	if c.setup.rounds > 0 {
		return c.rounds < c.setup.rounds
	}
	return time.Now().Before(end)
}

// round lets the load run for a moment, strikes, and starts the server again if
// it has ended. About one strike in six hits a server that is still recovering
// from the last.
func (c *crash) round() {
	time.Sleep(c.fault.stretch(c.rnd)) // the random moment, not a wait
	c.mayRepeat += c.sinks.open.Load() + c.load.open.Load()
	if c.sinks.open.Load()+c.load.open.Load() == 0 {
		c.idle++
	}
	c.load.gate.close()
	c.strike()
	if c.proc.gone() {
		for c.rnd.IntN(6) == 0 {
			c.proc = launchUnder(c.t, c.fault.under(), nil, c.args...)
			time.Sleep(time.Duration(c.rnd.Int64N(int64(c.started) + 1)))
			if c.proc.stdout.String() == "" { // it prints when it serves
				c.recovering++
			} else {
				c.idle++
			}
			c.strike()
		}
		c.up()
	}
	c.load.gate.open()
}

func (c *crash) strike() {
	c.rounds++
	c.mayRepeat += crashParallelism + undurableMax
	c.fault.strike(c.proc)
	c.countDuplicates()
}

func (c *crash) countDuplicates() {
	d := c.book.duplicates.Load()
	c.most = max(c.most, d-c.duplicates)
	c.duplicates = d
}

// finish stops publishing and waits until everything that was acknowledged has
// come or lies in the dead letter queue: the longest delay and a retry, with much
// room for a slow machine.
func (c *crash) finish() {
	c.load.stop()
	c.fault.relent()
	began, left := time.Now(), c.book.outstanding()
	deadline := time.After(2 * time.Minute)
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for c.book.outstanding() > 0 {
		select {
		case <-c.book.settled():
		case <-look.C:
			c.readDeadLetters()
		case <-deadline:
			c.t.Errorf("%d acknowledged messages were not delivered, among them %v", c.book.outstanding(), c.book.missing(10))
			return
		}
	}
	c.readDeadLetters()
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
	_, mode, _ := strings.Cut(c.t.Name(), "/")
	c.t.Logf("mode %s: %d rounds, of which %d in recovery and %d idle; published %d, acked %d, unknown %d, refused %d; attempts failed on purpose %d; lost %d; damaged %d; duplicates %d (at most %d for one round)",
		mode, c.rounds, c.recovering, c.idle, b.next.Load(), b.acked.Load(), c.load.unknown.Load(), c.load.refused.Load(),
		b.failed.Load(), b.outstanding(), b.buried.Load(), b.duplicates.Load(), c.most)
	if line := c.fault.report(); line != "" {
		c.t.Log("mode " + mode + ": " + line)
	}
}

// keep copies the data directory of a run that failed, for whoever looks into it.
func (c *crash) keep() {
	to := os.Getenv("TIDEMILL_CRASH_KEEP")
	if to == "" || !c.t.Failed() {
		return
	}
	if c.proc != nil {
		c.proc.kill()
	}
	if err := os.CopyFS(to, os.DirFS(c.dir)); err != nil {
		c.t.Logf("the data directory could not be kept: %v", err)
	}
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
