package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// plain is what modes share: it harms nothing.
type plain struct{ c *crash }

func (f *plain) attach(c *crash)                      { f.c = c }
func (*plain) under() []string                        { return nil }
func (*plain) started(*process)                       {}
func (*plain) refused(*process, error) bool           { return false }
func (*plain) relent()                                {}
func (*plain) mayBury(seq uint64, reason string) bool { return false }
func (*plain) report() string                         { return "" }
func (*plain) stretch(rnd *rand.Rand) time.Duration   { return between(rnd, 50, 450) }
func between(rnd *rand.Rand, from, to int) time.Duration {
	return time.Duration(from+rnd.IntN(to-from)) * time.Millisecond
}

// kills is mode kill.
type kills struct {
	plain
	dir string
}

func newKills(t *testing.T, _ time.Duration) fault { return &kills{dir: t.TempDir()} }

func (f *kills) setup() setup {
	s := usual(f.dir)
	s.flags, s.delayMax, s.lines = []string{"--log.segment-size", "16MiB"}, 3*time.Second, true
	return s
}

// stretch ends half of the time while the ticks of a second are on their way. One in
// eight is long enough for windows of flow control, which begin with a start (L6).
func (*kills) stretch(rnd *rand.Rand) time.Duration {
	d, aim := between(rnd, 100, 1600), between(rnd, 0, 40)
	if rnd.IntN(8) == 0 {
		d += 2500 * time.Millisecond
	}
	if rnd.IntN(2) == 0 {
		return d
	}
	now := time.Now()
	return now.Add(d).Truncate(time.Second).Add(time.Second + aim).Sub(now)
}

func (*kills) strike(p *process) { p.kill() }
