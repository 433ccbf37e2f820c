package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/engine"
)

// TestScaleReclaim delivers a million messages, and as many again, of which one in a
// hundred is delayed by 90 days, and shows what the log takes while that goes on and
// once it has settled: at most 1.5 times what counts and two segments.
func TestScaleReclaim(t *testing.T) {
	million := scaleMillion(t)
	admin := freeAddr(t)
	s := newScale(t, "--admin.listen", admin)
	for round := range 2 {
		s.deliverSome(million, 100)
		s.settled(admin, round)
	}
	s.killedUnderLoad(1, time.Minute)
	s.settled(admin, 2)
	s.proc.stop(t)
}

// deliverSome publishes n messages of which one in so many waits for 90 days, and
// waits for the others to arrive.
func (s *scale) deliverSome(n, oneIn int) {
	s.t.Helper()
	waits := n / oneIn
	s.batches(waits, func(rng *rand.Rand, b []byte) []byte {
		return appendItem(rng, b, s.sink+"/later", `"Upstash-Delay":"90d"`)
	})
	for range 10 { // not all of them in front of the others
		s.deliver((n - waits) / 10)
		s.batches(waits/10, func(rng *rand.Rand, b []byte) []byte {
			return appendItem(rng, b, s.sink+"/later", `"Upstash-Delay":"90d"`)
		})
	}
	s.pending += 2 * waits
}

// settled waits until the log is within its promise and logs its figures.
func (s *scale) settled(admin string, round int) {
	s.t.Helper()
	const segment = 64 * config.MiB
	began := time.Now()
	most := s.stats(admin)
	for {
		st := s.stats(admin)
		if st.LogBytes > most.LogBytes {
			most = st
		}
		if st.LogBytes <= st.LiveBytes*3/2+2*segment {
			s.t.Logf("round %d: settled after %v: the log takes %s of which %s count, %d spares beside; at most %s. "+
				"Written %s, of them copies %s: amplification %.3f; by the index %s. Segments recycled %d, removed %d. Files of the log: %s",
				round, time.Since(began).Round(time.Second), mibs(st.LogBytes), mibs(st.LiveBytes), st.Spares, mibs(most.LogBytes),
				mibs(int64(st.WrittenBytes)), mibs(int64(st.MovedBytes)), st.WriteAmplification, mibs(int64(st.IndexBytes)),
				st.Recycled, st.Removed, mibs(dirSize(s.t, filepath.Join(s.dir, "log"))))
			return
		}
		if time.Since(began) > time.Minute {
			s.t.Fatalf("round %d: the log does not settle: %+v", round, st)
		}
		time.Sleep(100 * time.Millisecond) // settling is what is measured
	}
}

func (s *scale) stats(admin string) (st engine.Stats) {
	s.t.Helper()
	status, body := call(s.t, "GET", "http://"+admin+"/stats", "", "")
	if err := json.Unmarshal([]byte(body), &st); err != nil || status != 200 {
		s.t.Fatalf("stats: %d %s %v", status, body, err)
	}
	return st
}
