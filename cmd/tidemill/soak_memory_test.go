package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryWatch reads the resident set of the server once a second. It is safe for
// concurrent use.
type memoryWatch struct {
	t     testing.TB
	lives []soakLife

	mu      sync.Mutex
	pid     int // 0: there is no server at the moment
	number  int // of its life
	samples [][]int64
}

func newMemoryWatch(t testing.TB, lives []soakLife) *memoryWatch {
	w := &memoryWatch{t: t, lives: lives, samples: make([][]int64, len(lives))}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.sample()
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return w
}

func (w *memoryWatch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pid == 0 {
		return
	}
	rss, _ := residentSet(w.t, w.pid)
	w.samples[w.number] = append(w.samples[w.number], rss)
}

// begin and pause frame what is sampled: a server under load.
func (w *memoryWatch) begin(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pid = pid
}

func (w *memoryWatch) pause() { w.begin(0) }

func (w *memoryWatch) life(number int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number = number
}

// long returns the medians of the last minutes of the long lives, in bytes.
func (w *memoryWatch) long() (medians []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := w.lives[0].parts
	for i, life := range w.lives {
		if life.parts == most && len(w.samples[i]) > 0 {
			medians = append(medians, medianOf(w.samples[i][max(0, len(w.samples[i])-60):]))
		}
	}
	return medians
}

func medianOf(list []int64) int64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// growth compares the last two long lives with the first two. One alone says little: what
// is resident swings by a tenth with the phase of the collector and of the index's flushes.
func (w *memoryWatch) growth() float64 {
	m := w.long()
	if len(m) < 4 {
		return 0
	}
	return float64(m[len(m)-1]+m[len(m)-2])/float64(m[0]+m[1]) - 1
}

func (w *memoryWatch) check() {
	if g := w.growth(); g < -0.05 || g > 0.05 {
		w.t.Errorf("resident memory changed by %+.1f %% from the first two long lives to the last two, want 5 %% at most", 100*g)
	}
}

func (w *memoryWatch) report() string {
	var minutes []string
	for _, m := range w.long() {
		minutes = append(minutes, mibs(m))
	}
	text := fmt.Sprintf("resident, median of the last minute of each long life: %s; the last two to the first two: %+.1f %%; minute by minute:",
		strings.Join(minutes, ", "), 100*w.growth())
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, list := range w.samples {
		text += fmt.Sprintf("\n  life %d:", i+1)
		for chunk := range slices.Chunk(list, 60) {
			text += " " + mibs(medianOf(chunk))
		}
	}
	return text
}
