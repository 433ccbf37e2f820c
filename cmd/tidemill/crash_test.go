package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
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
// In all modes but bitflip and teeth there are schedules as well, of every second: each
// tick is published exactly once and not before its time, a tick that is said to be
// missed fell into more than ten seconds without a server, and a pause, a resume or
// another definition that was answered holds (ticks, chain).
//
// In the modes kill and power there are queues, flow-control keys, a group and callbacks as
// well: queues are in order and no limit is exceeded, over every crash, an endpoint gets
// what all do, and each outcome is reported (lines, lineBook, turnLane, lineFlow).
//
// Settings of a run:
//
//	TIDEMILL_CRASH_MODE      one or more modes, separated by commas; kill by default
//	TIDEMILL_CRASH_SECONDS   how long the rounds of each mode last; 8 by default. The
//	                         modes eio, stall and teeth take it as a hint
//	TIDEMILL_CRASH_SEED      repeats the choices of a run (not its timing)
//	TIDEMILL_CRASH_ROUNDS    go on until there were so many rounds of kill, power, torn
//	                         or bitflip; fail when four times the time brings fewer
//	TIDEMILL_CRASH_ACKED     fail below so many acknowledged messages of those modes
//	TIDEMILL_CRASH_KEEP      where the data directory of a run that failed is copied to
//
// A publish without an answer has an unknown outcome: its message may come or
// not. A message may come twice if its attempt was under way when the server
// ended, or if its outcome was not on disk yet, of which L5 allows 4,096. Within one start
// of the server none comes twice (P17).
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
		want := int(envNumber(t, "TIDEMILL_CRASH_ROUNDS", 1))
		for began := time.Now(); !t.Failed() && c.goesOn(time.Since(began), lasts, want); {
			c.round()
		}
		c.finish()
		c.report()
		if c.setup.rounds > 0 {
			return
		}
		if c.rounds < want {
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
