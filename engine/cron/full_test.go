package cron

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// job is one call of compare, made once for all zones whose clock is the same then.
type job struct {
	zone     string
	texts    []string
	from, to int64
}

// jobs collects them by what the clocks do.
type jobs struct {
	seen map[string]bool
	list []job
}

func (js *jobs) add(clock string, j job) {
	if !js.seen[clock] {
		js.seen[clock] = true
		js.list = append(js.list, j)
	}
}

// fullJobs is, for every zone of the database: five years with all texts, and from
// 1970 to 2037 two days around every jump with all texts, and some hours around it
// with those that have seconds.
func fullJobs(t *testing.T) []job {
	js := jobs{seen: map[string]bool{}}
	for _, zone := range zoneNames(t) {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		clock := func(from, to int64) string {
			_, off := time.Unix(from-5*86400, 0).In(loc).Zone()
			return fmt.Sprint(from, to, off, jumps(loc, from-5*86400, to))
		}
		from, to := year(2024), year(2029)
		js.add(clock(from, to), job{zone, texts, from, to})
		for _, j := range jumps(loc, year(1970)+5*86400, year(2037)) {
			from, to := j.at-86400, j.at+86400
			js.add("minutes"+clock(from, to), job{zone, texts, from, to})
			from, to = j.at-3*3600, j.at+4*3600
			js.add("seconds"+clock(from, to), job{zone, secondTexts, from, to})
		}
	}
	return js.list
}

// TestOracleFull compares everything, tick by tick (P29). It makes 1.6 billion
// comparisons in about half an hour on two cores, so TIDEMILL_CRON_FULL=1 has to ask for it.
func TestOracleFull(t *testing.T) {
	if os.Getenv("TIDEMILL_CRON_FULL") == "" {
		t.Skip("TIDEMILL_CRON_FULL=1 compares all zones over years; it takes long")
	}
	list := fullJobs(t)
	var next, ticks, different atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				j := list[i]
				n, diffs := newBatch(j.texts...).compare(j.zone, j.from, j.to)
				ticks.Add(int64(n))
				for _, d := range diffs {
					different.Add(1)
					t.Error(d)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d stretches of time, %d ticks, %d differences", len(list), ticks.Load(), different.Load())
}
