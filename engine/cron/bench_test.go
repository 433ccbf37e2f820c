package cron

import (
	"runtime"
	"testing"
	"time"
)

var benchTexts = []struct{ name, text string }{
	{"every-5-minutes", "*/5 * * * *"},
	{"every-5-minutes-zone", "CRON_TZ=America/New_York */5 * * * *"},
	{"daily-zone", "CRON_TZ=America/New_York 30 2 * * *"},
	{"leap-day", "0 0 29 2 *"},
	{"leap-day-zone", "CRON_TZ=America/New_York 0 0 29 2 *"},
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// BenchmarkParse also reports what an Expr keeps, in resident-B/expr.
func BenchmarkParse(b *testing.B) {
	for _, c := range benchTexts {
		b.Run("text="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(b, c.text, FireOnce)
			}
			b.ReportMetric(float64(residentBytes(b, c.text)), "resident-B/expr")
		})
	}
}

// residentBytes is what one Expr adds to the heap, after it has been used.
func residentBytes(b *testing.B, text string) uint64 {
	const n = 2000
	keep := make([]*Expr, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keep {
		keep[i] = must(b, text, FireOnce)
		keep[i].Next(start)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(keep)
	return (after.HeapAlloc - before.HeapAlloc) / n
}

func BenchmarkNext(b *testing.B) {
	for _, c := range benchTexts {
		b.Run("text="+c.name, func(b *testing.B) {
			x := must(b, c.text, FireOnce)
			b.ReportAllocs()
			tick := start
			for b.Loop() {
				if tick, _ = x.Next(tick); tick > start+20*365*86400_000 {
					tick = start
				}
			}
		})
	}
}

// BenchmarkNewest looks for the last tick of a year that was missed whole.
func BenchmarkNewest(b *testing.B) {
	for _, c := range benchTexts {
		b.Run("text="+c.name, func(b *testing.B) {
			x := must(b, c.text, FireOnce)
			b.ReportAllocs()
			for b.Loop() {
				x.Newest(start, start+365*86400_000)
			}
		})
	}
}
