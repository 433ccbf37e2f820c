package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// TestTimeSchedules defines a tenth of a million schedules whose minutes differ, and
// then a tenth as many of every minute. It shows what they take in memory and in CPU
// while nothing is due, how long a restart takes, and how late the ticks of a full
// minute arrive.
func TestTimeSchedules(t *testing.T) {
	n := scaleMillion(t) / 10
	s := newScale(t)
	var ticks lateTicks
	s.sink = listenHost(t, "127.0.0.2", ticks.arrive)
	empty := s.memory("no schedules", 400*config.MiB)
	s.schedules(n, "each", func(rng *rand.Rand) string {
		return fmt.Sprintf("%d %d %d * *", rng.IntN(60), rng.IntN(24), 1+rng.IntN(28))
	})
	many := s.memory(fmt.Sprintf("%d schedules", n), 400*config.MiB)
	t.Logf("a schedule takes %.0f bytes of memory", float64(many-empty)/float64(n))
	time.Sleep(idleSettle)
	share, wakes := s.idle(idleMeasured)
	t.Logf("idle but for their minutes: %.3f %% of a core over %v, %.1f context switches a second", 100*share, idleMeasured, wakes)
	s.proc.stop(t)
	t.Logf("start with %d schedules: %v", n, s.up().Round(time.Millisecond))

	s.schedules(n/10, "minute", func(*rand.Rand) string { return "* * * * *" })
	ticks.report(t, 3, n/10)
	s.memory("after three full minutes", 400*config.MiB)
	s.proc.stop(t)
}

// schedules defines n schedules that publish to the sink.
func (s *scale) schedules(n int, path string, cron func(rng *rand.Rand) string) {
	s.t.Helper()
	began := time.Now()
	s.batches(n, func(rng *rand.Rand, b []byte) []byte {
		return appendItem(rng, b, s.sink+"/"+path, `"Upstash-Cron":"`+cron(rng)+`"`)
	})
	took := time.Since(began)
	s.t.Logf("defined %d schedules in %v, %.0f/s", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
}

// lateTicks notes how long after a full minute the ticks of one path arrive.
type lateTicks struct {
	mu   sync.Mutex
	late map[int64][]time.Duration // by minute
}

func (l *lateTicks) arrive(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) != "/minute" {
		return
	}
	now := time.Now()
	minute := now.Truncate(time.Minute)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late == nil {
		l.late = map[int64][]time.Duration{}
	}
	l.late[minute.Unix()] = append(l.late[minute.Unix()], now.Sub(minute))
}

// report waits for full minutes with n ticks each and shows how late they came. The
// first one may be the minute in which they were defined.
func (l *lateTicks) report(t *testing.T, minutes, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Duration(minutes+2) * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		l.mu.Lock()
		full := 0
		for _, late := range l.late {
			if len(late) == n {
				full++
			}
		}
		l.mu.Unlock()
		if full >= minutes {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d minutes brought all of %d ticks", full, n)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for minute, late := range l.late {
		slices.Sort(late)
		t.Logf("%s: %d ticks, late p50 %v p99 %v max %v", time.Unix(minute, 0).UTC().Format("15:04"), len(late),
			late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
	}
}
