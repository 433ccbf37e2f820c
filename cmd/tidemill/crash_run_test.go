package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

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
	rate       int  // publishes a second, of all publishers; 0: as many as there can be
	ticks      bool // schedules are tested, too
	lines      bool // queues, flow-control keys, groups and callbacks, too
}

// usual is the setup of a mode that asks for nothing special. Small segments and
// memtables make boundaries frequent: the next segment, the index's durable
// position.
func usual(dir string) setup {
	return setup{
		dir: dir, flags: []string{"--message.max-size", "128KiB", "--response.max-size", "64KiB", "--log.segment-size", "1MiB", "--index.memtable", "256KiB"},
		publishers: crashPublishers, delayOneIn: 4, delayMax: 1500 * time.Millisecond, ticks: true,
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
	ticks *ticks
	lines *lines
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
	c.ticks, c.lines = newTicks(c), newLines(c)
	f.attach(c)
	t.Cleanup(c.keep)
	c.up()
	c.load = startLoad(t, addr, c.creds.Token, c.book, c.sinks, seed, s)
	c.lines.start(seed)
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
		c.fence()
	}
	c.ticks.up()
	c.fault.started(c.proc)
	c.ticks.look(false)
	creds := readCredentials(c.t, c.dir)
	if c.creds != nil && *creds != *c.creds {
		c.t.Fatalf("after %d strikes the credentials are others", c.rounds)
	}
	c.creds = creds
}

// goesOn says whether there is another round.
func (c *crash) goesOn(since, lasts time.Duration, want int) bool {
	if c.setup.rounds > 0 {
		return c.rounds < c.setup.rounds
	}
	return since < lasts || c.rounds < want && since < 4*lasts
}

// round lets the load run for a moment, strikes, and starts the server again if
// it has ended. About one strike in six hits a server that is still recovering
// from the last.
func (c *crash) round() {
	c.ticks.work()
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
	c.ticks.up()
	c.load.gate.open()
}

func (c *crash) strike() {
	c.rounds++
	c.mayRepeat += crashParallelism + undurableMax
	c.ticks.down()
	c.fault.strike(c.proc)
	if c.proc.gone() {
		c.fence()
	}
	c.countDuplicates()
}

// fence is called when the server has ended, and returns when the destinations have read
// all that it sent: what comes from then on is of its next life.
func (c *crash) fence() {
	c.t.Helper()
	for _, s := range c.sinks.servers {
		awaitClosed(c.t, s)
	}
	c.book.newLife()
	c.lines.fence()
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
	if ticksEnd, ok := c.settle(); ok {
		c.end(ticksEnd)
	}
}

// settle is finish without the server's end. ok is false if it is in vain.
func (c *crash) settle() (ticksEnd int64, ok bool) {
	c.load.stop()
	c.ticks.down()
	c.fault.relent()
	c.ticks.up()
	ticksEnd = time.Now().UnixMilli()
	began, left := time.Now(), c.book.outstanding()
	late, deadline := time.After(15*time.Second), time.After(2*time.Minute)
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for c.book.outstanding() > 0 {
		select {
		case <-c.book.settled():
		case <-look.C:
			c.readDeadLetters()
		case <-late:
			if n := c.lost(); n > 0 {
				c.t.Errorf("the server does not know %d of the acknowledged messages that were not delivered, which are among %v", n, c.book.missing(10))
				return ticksEnd, false
			}
		case <-deadline:
			c.t.Errorf("%d acknowledged messages were not delivered, among them %v", c.book.outstanding(), c.book.missing(10))
			return ticksEnd, false
		}
	}
	c.readDeadLetters()
	c.t.Logf("the last %d messages came within %v", left, time.Since(began).Round(time.Millisecond))
	c.lines.finish()
	c.ticks.finish(ticksEnd)
	return ticksEnd, true
}

// end stops the server, and looks whether all ticks up to ticksEnd are accounted for.
func (c *crash) end(ticksEnd int64) {
	c.t.Helper()
	c.proc.stop(c.t)
	c.countDuplicates()
	c.ticks.check(ticksEnd)
}

func (c *crash) report() {
	b := c.book
	for _, complaint := range b.complaints() {
		c.t.Error(complaint)
	}
	if b.duplicates.Load() > c.mayRepeat {
		c.t.Errorf("%d duplicates, allowed are %d", b.duplicates.Load(), c.mayRepeat)
	}
	if n := b.again.Load(); n > 0 {
		c.t.Errorf("%d messages came twice within one start", n)
	}
	mode := c.mode()
	c.t.Logf("mode %s: %d rounds, of which %d in recovery and %d idle; published %d, acked %d, unknown %d, refused %d; attempts failed on purpose %d; lost %d; damaged %d; duplicates %d (at most %d for one round, %d within one start)",
		mode, c.rounds, c.recovering, c.idle, b.next.Load(), b.acked.Load(), c.load.unknown.Load(), c.load.refused.Load(),
		b.failed.Load(), b.outstanding(), b.buried.Load(), b.duplicates.Load(), c.most, b.again.Load())
	c.lines.report()
	if line := c.fault.report(); line != "" {
		c.t.Log("mode " + mode + ": " + line)
	}
}

func (c *crash) mode() string {
	_, mode, _ := strings.Cut(c.t.Name(), "/")
	return mode
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
	if err := os.CopyFS(filepath.Join(to, c.mode()), os.DirFS(c.dir)); err != nil {
		c.t.Logf("the data directory could not be kept: %v", err)
	}
}
