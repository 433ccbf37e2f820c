package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
)

// countWire answers every attempt with 200 at once.
type countWire struct{ n atomic.Int64 }

func (w *countWire) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	r.Status, r.Class, r.Err = 200, dispatch.OK, nil
	r.Header, r.Body = r.Header[:0], r.Body[:0]
	w.n.Add(1)
}

// BenchmarkPublish measures a message's life inside the engine, on the real
// disk, without HTTP: publish alone (due in an hour) and publish to outcome.
func BenchmarkPublish(b *testing.B) {
	for _, life := range []string{"publish", "deliver"} {
		for _, producers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("life=%s/producers=%d", life, producers), func(b *testing.B) {
				benchmarkPublish(b, life == "deliver", producers)
			})
		}
	}
}

func benchmarkPublish(b *testing.B, deliver bool, producers int) {
	w := &countWire{}
	e, err := Open(Options{Dir: b.TempDir(), Wire: w})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Shutdown(b.Context()) }()
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 1024)
	for i := range body {
		body[i] = byte(i * 7)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	before := e.log.Stats()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for g := range producers {
		wg.Go(func() {
			p := Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/hook", g%32), Body: body, Retries: 3}
			if !deliver {
				p.Delay = time.Hour
			}
			for left.Add(-1) >= 0 {
				if _, err := e.Publish(&p); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for deliver && w.n.Load() < int64(b.N) {
		time.Sleep(100 * time.Microsecond)
	}
	b.StopTimer()
	s := e.log.Stats()
	b.ReportMetric(float64(s.Syncs-before.Syncs)/float64(b.N), "syncs/op")
}
