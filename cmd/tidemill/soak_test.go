package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestSoak is P38: the real binary under a mixed load that it takes with ease, for as long
// as TIDEMILL_SOAK says in seconds (4 by default, 1200 in `make soak`), stopped and
// started again every now and then, and killed at times. The load is that of TestCrash, at a
// bounded rate (delays, retries, queues, flow-control keys, a group, callbacks,
// schedules), and beside it pull queues with leases (soakPull), batches, cancels,
// destinations that fail, are slow or dead, dead letters that are deleted and redriven
// (soakTrouble), reads of the API and of metrics, reloads and backups (soakChores).
//
// What is checked:
//
//   - nothing is lost: what was acknowledged is delivered, a dead letter, or was canceled;
//   - nothing comes twice but after a kill: a life of the server that began after SIGTERM
//     sees no message again;
//   - idle after all that, the last process has as many goroutines, and descriptors of
//     each kind, as the first had when it was idle after a warm-up (idleState);
//   - in runs of five minutes and more: resident memory. Compared are medians over the
//     last minute of long lives of the same length: the last two's are within 5 % of the
//     first two's.
//
// Memory is not asserted in the short form: it lasts too short to settle.
func TestSoak(t *testing.T) {
	builtBinary(t)
	seed := envNumber(t, "TIDEMILL_CRASH_SEED", rand.Uint64())
	lasts := time.Duration(envNumber(t, soakEnv, 4)) * time.Second
	t.Logf("seed %d, %v", seed, lasts)
	t.Run("soak", func(t *testing.T) {
		s := &soak{dir: t.TempDir(), long: lasts >= 5*time.Minute, lives: shortSoak}
		if s.long {
			s.lives = longSoak
		}
		c := newCrash(t, seed, s)
		s.start()
		for i, life := range s.lives {
			s.live(i, lasts*life.parts/s.parts())
			if t.Failed() {
				return
			}
			if i < len(s.lives)-1 {
				s.restart(life.kill)
			}
		}
		s.finish()
		c.report()
		s.tell()
	})
}

const soakEnv = "TIDEMILL_SOAK"

// soakLife is a life of the server: how long it is, in parts of all, and whether it ends
// with a kill.
type soakLife struct {
	parts time.Duration
	kill  bool
}

// longSoak has four lives of the same length to compare, shortSoak one end of each kind.
var (
	longSoak  = []soakLife{{4, false}, {1, true}, {4, false}, {1, false}, {1, true}, {4, false}, {1, false}, {4, false}}
	shortSoak = []soakLife{{1, true}, {1, false}, {2, false}}
)

func (s *soak) parts() (n time.Duration) {
	for _, life := range s.lives {
		n += life.parts
	}
	return n
}

// soak is a run. The test's goroutine owns it.
type soak struct {
	plain
	dir     string
	long    bool
	lives   []soakLife
	config  string
	admin   atomic.Value // string: the admin listener of this life
	idle    *idleState   // of the first life, before the load
	memory  *memoryWatch
	pull    *soakPull
	trouble *soakTrouble
	chores  *soakChores

	killing   bool // the next strike is SIGKILL
	killed    bool // the life before ended with one
	kills     int
	stops     []time.Duration
	starts    []time.Duration
	repeats   int64 // what had come twice when this life began
	afterKill int64 // of it, in lives after a kill
}

func (s *soak) setup() setup {
	how := usual(s.dir)
	s.config = filepath.Join(s.dir, "soak.toml")
	how.flags = []string{
		"--admin.listen", "127.0.0.1:0", "--config", s.config, "--log.segment-size", "16MiB",
		"--retention.history", "1m", "--dedup.window", "1m", "--index.memtable", "4MiB", "--index.cache", "8MiB",
	}
	how.delayMax, how.rate, how.ticks, how.lines = 3*time.Second, 700, true, true
	return how
}

func (s *soak) attach(c *crash) {
	s.plain.attach(c)
	s.writeConfig(20)
	s.memory = newMemoryWatch(c.t, s.lives)
}

// writeConfig writes a file with something in it that a reload can change.
func (s *soak) writeConfig(days int) {
	text := fmt.Sprintf("[retention]\ndlq = \"%dd\"\n", days)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.c.t.Fatal(err)
	}
}

// started measures the idle server once, before anything is asked of it but a warm-up.
func (s *soak) started(p *process) {
	s.admin.Store(p.admin())
	if s.idle != nil {
		return
	}
	s.warmUp(p)
	s.idle = awaitStable(s.c.t, p, s.c.dir)
}

// warmUp has the server do a bit of what makes it keep goroutines or files: deliver, answer,
// be scraped, reload and back up. The destination is gone when it returns.
func (s *soak) warmUp(p *process) {
	t := s.c.t
	came := make(chan struct{}, 100)
	srv := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) { came <- struct{}{} }, NoDefaultServerHeader: true}
	url := serveHost(t, "127.0.0.1", srv)
	token := readCredentials(t, s.c.dir).Token
	for range 20 {
		if status, answer := call(t, "POST", p.url()+"/v2/publish/"+url, token, "warm"); status != 200 {
			t.Fatalf("publish: %d %s", status, answer)
		}
	}
	for range 20 {
		select {
		case <-came:
		case <-time.After(time.Minute):
			t.Fatalf("the first messages do not come\n%s", p.output())
		}
	}
	call(t, "GET", p.url()+"/v2/logs", token, "")
	call(t, "GET", p.admin()+"/metrics", "", "")
	if _, err := p.hup(); err != nil {
		t.Fatal(err)
	}
	backUp(t, p, filepath.Join(s.dir, "warm"))
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
}

// start begins what is not the crash test's load.
func (s *soak) start() {
	s.memory.begin(s.c.proc.pid())
	s.pull = startSoakPull(s.c)
	s.trouble = startSoakTrouble(s.c, s.slow())
	s.chores = startSoakChores(s)
}

// slow is what the slow destination takes. Each stop waits for it.
func (s *soak) slow() time.Duration {
	if s.long {
		return 2 * time.Second
	}
	return 500 * time.Millisecond
}

// live lets the load run for a life of the server. Its chores are the test's goroutine's.
func (s *soak) live(number int, lasts time.Duration) {
	end := time.Now().Add(lasts)
	s.memory.life(number)
	step := min(time.Second, lasts/4)
	for i := 1; time.Until(end) > 0; i++ {
		if s.c.proc.gone() {
			s.c.t.Fatalf("the server ended by itself\n%s", s.c.proc.output())
		}
		if i%5 == 2 {
			s.c.ticks.work()
		}
		s.c.ticks.look(false)
		if i%20 == 1 {
			s.reload(20 + i%10)
		}
		if i%100 == 50 || !s.long && number == 0 && i == 2 {
			s.chores.backup()
		}
		time.Sleep(min(step, max(0, time.Until(end)))) // the life, not a wait for something
	}
}

func (s *soak) reload(days int) {
	s.writeConfig(days)
	line, err := s.c.proc.hup()
	if err != nil || !strings.Contains(line, `"level":"INFO"`) {
		s.c.t.Errorf("a reload: %v %s", err, line)
	}
	s.chores.reloads++
}

// restart ends the server and starts it again, with the load held back.
func (s *soak) restart(kill bool) {
	s.memory.pause()
	c := s.c
	c.load.gate.close()
	s.killing = kill
	c.strike()
	s.countRepeats()
	s.killed = kill
	c.up()
	s.starts = append(s.starts, c.started)
	s.memory.begin(c.proc.pid())
	c.load.gate.open()
}

func (s *soak) strike(p *process) {
	if s.killing {
		s.kills++
		p.kill()
		return
	}
	began := time.Now()
	if err := p.terminate(); err != nil {
		s.c.t.Error(err)
	}
	s.stops = append(s.stops, time.Since(began))
}

// countRepeats is called at the end of each life: in one that did not begin after a kill
// nothing comes that has come before.
func (s *soak) countRepeats() {
	b := s.c.lines.book
	b.mu.Lock()
	all := s.c.book.duplicates.Load() + int64(b.repeated) + s.trouble.repeats()
	b.mu.Unlock()
	n := all - s.repeats
	if s.repeats = all; s.killed {
		s.afterKill += n
	} else if n > 0 {
		s.c.t.Errorf("%d attempts were made again after SIGTERM", n)
	}
}

// finish ends the load, waits for what is to come, and compares the idle server with what
// it was.
func (s *soak) finish() {
	c := s.c
	s.memory.pause()
	ticksEnd, ok := c.settle()
	if !ok {
		return
	}
	s.pull.finish()
	s.trouble.finish()
	s.countRepeats()
	for _, id := range []string{"every", "jitter", "all", turned} { // the last may never have been defined
		c.tried("PATCH", "/v2/schedules/"+id+"/pause", "")
	}
	s.idle.await(c.t, c.proc, c.dir)
	c.end(ticksEnd)
	if s.long {
		s.memory.check()
	}
}

// report is not the fault's line: crash.report asks for that.
func (s *soak) tell() {
	t := s.c.t
	t.Logf("%d stops by SIGTERM, which took %v, %d kills; starts took %v; %d attempts were made again after a kill, none after a stop",
		len(s.stops), rounded(s.stops), s.kills, rounded(s.starts), s.afterKill)
	t.Log(s.pull.report())
	t.Log(s.trouble.report())
	t.Log(s.chores.report())
	if s.long {
		t.Log(s.memory.report())
	}
	t.Logf("idle before, and after but for the workers: %s", s.idle)
}

func rounded(list []time.Duration) (out []time.Duration) {
	for _, d := range list {
		out = append(out, d.Round(time.Millisecond))
	}
	return out
}
