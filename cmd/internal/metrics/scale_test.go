package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// TestBounded: what a scrape says does not grow with the hosts, and with the queues only as
// far as it names them. Messages are due in an hour, so that nothing is attempted; those of
// hosts are near enough to be in memory.
func TestBounded(t *testing.T) {
	w := newWorld(t)
	few := lines(w.scrape())
	const hosts, queues = 2000, 300
	w.fill(hosts, queues)
	w.await(queues, "queues")
	fs := w.await(queues-queuesMax, "pull_queue_messages", "", "", "delayed") // the sum of those without a name
	if got := value(fs, "hosts", "healthy"); got < hosts {
		t.Errorf("%v hosts are known, want %d", got, hosts)
	}
	// The largest queue has as many messages as its number says, and so on down.
	if got := value(fs, "queue_messages", "1", fmt.Sprintf("q%d", queues-1)); got != 3 {
		t.Errorf("the largest queue has %v messages", got)
	}
	sum, named := 0.0, 0
	for _, m := range fs["tidemill_queue_messages"].GetMetric() {
		sum += m.Gauge.GetValue()
		if m.GetLabel()[1].GetValue() != "" {
			named++
		}
	}
	if named != queuesMax || sum != queues+2*queuesMax {
		t.Errorf("%d queues are named, all have %v messages together; want %d and %d", named, sum, queuesMax, queues+2*queuesMax)
	}
	const perQueue, perPull = 3, 11
	many := lines(w.scrape())
	if most := few + queuesMax*(perQueue+perPull) + 50; many > most {
		t.Errorf("%d lines, %d of an empty server; want at most %d", many, few, most)
	}
}

func lines(text string) int { return strings.Count(text, "\n") }

// fill makes hosts and queues of both kinds with one message each, and two more in the last
// queuesMax queues of a kind.
func (w *world) fill(hosts, queues int) {
	w.t.Helper()
	ps := make([]engine.Publish, 0, hosts+3*queues)
	for i := range hosts {
		ps = append(ps, engine.Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i), Delay: 50 * time.Second})
	}
	delay := time.Hour
	var pulls []engine.PullPublish
	for round := range 3 {
		for i := range queues {
			if round == 0 || i >= queues-queuesMax {
				ps = append(ps, engine.Publish{User: 1, URL: "http://q.example/", Queue: fmt.Sprintf("q%d", i), Delay: delay})
				pulls = append(pulls, engine.PullPublish{Queue: fmt.Sprintf("p%d", i), Body: []byte("x"), Delay: &delay})
			}
		}
	}
	var wg sync.WaitGroup
	for len(ps) > 0 {
		n := min(len(ps), 500)
		part := ps[:n]
		ps = ps[n:]
		wg.Go(func() { w.must(w.engine.PublishBatch(part)) })
	}
	wg.Wait()
	w.must(w.engine.PublishPull(1, pulls))
}

func (w *world) must(rs []engine.Result) {
	for i := range rs {
		if rs[i].Err != nil {
			w.t.Error(rs[i].Err)
			return
		}
	}
}

// BenchmarkScrape is a scrape of a server with many hosts and queues.
func BenchmarkScrape(b *testing.B) {
	for _, size := range []struct{ hosts, queues int }{{0, 0}, {10_000, 1000}} {
		b.Run(fmt.Sprintf("hosts=%d/queues=%d", size.hosts, size.queues), func(b *testing.B) {
			w := newWorld(b)
			w.fill(size.hosts, size.queues)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = len(w.scrape())
			}
			b.ReportMetric(float64(n), "bytes")
			b.ReportMetric(value(w.families(), "loop_wait_seconds")*1e6, "loop-us")
		})
	}
}
