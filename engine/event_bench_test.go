package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHistoryCost measures what history costs a delivered message: processor time of
// the process with history and without, flushes and compactions included, on the real disk
// and without HTTP. To run it, on a machine that does nothing else:
//
//	go test ./engine -run '^$' -bench HistoryCost -benchtime 300000x -count 5
//
// The difference of cpu-ns/op, over the processor time that the whole server takes for a
// delivered message (the bench tool's), is the share that PERFORMANCE.md row 21 bounds.
// Metrics are counters that both have: there is nothing else to them.
func BenchmarkHistoryCost(b *testing.B) {
	for _, life := range []string{"at-once", "delayed"} {
		for _, off := range []bool{false, true} {
			b.Run(fmt.Sprintf("life=%s/history=%t", life, !off), func(b *testing.B) { benchmarkHistoryCost(b, life == "delayed", off) })
		}
	}
}

func benchmarkHistoryCost(b *testing.B, delayed, off bool) {
	w := &countWire{}
	e, err := Open(Options{Dir: b.TempDir(), Wire: w, noHistory: off})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 256)
	p := Publish{User: 1, Body: body, CallerIP: "192.0.2.33", Retries: 3}
	if delayed { // so that it ends in another batch than that of its publish
		p.Delay = time.Second
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	before := processorTime(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			p := p
			p.URL = fmt.Sprintf("https://h%d.customer.example/v1/events/order", g)
			for left.Add(-1) >= 0 {
				_, err := e.Publish(&p)
				for errors.Is(err, ErrOverloaded) {
					time.Sleep(time.Millisecond)
					_, err = e.Publish(&p)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for w.n.Load() < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
	if err := e.Shutdown(b.Context()); err != nil { // writes what is in memory
		b.Error(err)
	}
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what the process has used, user and system.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEvents reads history of 100,000 messages: a page of it, what an account finds
// that has none in it, and the events of one message.
func BenchmarkEvents(b *testing.B) {
	e, err := Open(Options{Dir: b.TempDir(), Wire: &countWire{}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Shutdown(b.Context()) }()
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		b.Fatal(err)
	}
	var id string
	for range 100 {
		ps := make([]Publish, 1000)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "https://h.customer.example/v1/events/order", Body: make([]byte, 256)}
		}
		for _, r := range e.PublishBatch(ps) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
			id = r.MessageID
		}
	}
	for name, q := range map[string]EventQuery{
		"page=1000": {User: 1, Earliest: true}, "page=100": {User: 1, Earliest: true, Count: 100},
		"others": {User: 2, Earliest: true}, "nothing": {User: 1, Earliest: true, Filter: Filter{QueueNames: []string{"q"}}},
		"message": {User: 1, Filter: Filter{MessageIDs: []string{id}}},
	} {
		b.Run("of="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Events(&q, func(*Event) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
