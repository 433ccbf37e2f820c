package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// The scale tests measure what grows with the number of messages. They run with
// `make scale`; TIDEMILL_SCALE is what counts as a million there, so that
// TIDEMILL_SCALE=50000 goes through the same steps in half a minute. They take
// minutes and gigabytes below TMPDIR, which should be on the disk to be measured.
const scaleEnv = "TIDEMILL_SCALE"

// scaleMillion skips the test unless it is asked for, and returns the unit.
func scaleMillion(t *testing.T) int {
	t.Helper()
	if os.Getenv(scaleEnv) == "" {
		t.Skip("a measurement: run it with `make scale`")
	}
	builtBinary(t)
	return int(envNumber(t, scaleEnv, 0))
}

// TestScalePending fills one server with 0, 1, 5 and 6 million messages that wait
// for an hour to a day. At 0, 1 and 5 it kills the server under load and times its
// start; at 1 it also deletes the index, and the rebuilt one must give the same
// answers; at 1, 5 and 6 it reads the resident set. The gates
// hold on an otherwise idle machine.
func TestScalePending(t *testing.T) {
	million := scaleMillion(t)
	s := newScale(t)
	s.dead(1000)
	s.killedUnderLoad(0, time.Minute)
	s.fill(million)
	s.memory("1 M pending", 400*config.MiB)
	s.killedUnderLoad(1, 2*time.Second)
	s.rebuilt(20 * time.Second)
	s.fill(5*million - s.pending)
	five := s.memory("5 M pending", 400*config.MiB)
	s.killedUnderLoad(5, time.Minute)
	s.memory("5 M pending, after a restart", 400*config.MiB)
	s.fill(6*million - s.pending)
	six := s.memory("6 M pending", 400*config.MiB)
	t.Logf("resident at 6 M over 5 M: %.2f", float64(six)/float64(five))
	s.proc.stop(t)
}

// TestScaleDelivered sends 5 million messages through a server that keeps history
// for a minute, and shows what the index takes on disk meanwhile and afterwards.
func TestScaleDelivered(t *testing.T) {
	million := scaleMillion(t)
	s := newScale(t, "--retention.history", "1m", "--dedup.window", "1m")
	most := int64(0)
	for n := range 10 {
		s.deliver(million / 2)
		size := dirSize(t, s.index())
		most = max(most, size)
		t.Logf("after %.1f M delivered: index %s", float64(n+1)/2, mibs(size))
	}
	time.Sleep(2 * time.Minute) // retention is what is measured: a minute, and its pace
	rest := dirSize(t, s.index())
	t.Logf("%.0f %% of the messages had a deduplication id; the index took at most %s, a retention later %s", 100*scaleDedup, mibs(most), mibs(rest))
	if rest > 256*config.MiB {
		t.Errorf("the index takes %s after its retention, want 256 MiB at most", mibs(rest))
	}
	s.proc.stop(t)
}

// scaleDedup is the share of delivered messages that carry a deduplication id.
const scaleDedup = 0.1

// scale is one server on one directory. It is owned by the test's goroutine.
type scale struct {
	t       *testing.T
	dir     string
	addr    string
	args    []string
	proc    *process
	client  *fasthttp.HostClient
	token   string
	pending int // messages that wait
	sink    string
	arrived atomic.Int64
	ids     []string // of a sample of the pending messages
}

func newScale(t *testing.T, args ...string) *scale {
	s := &scale{t: t, dir: filepath.Join(t.TempDir(), "data"), addr: freeAddr(t)}
	s.args = append([]string{
		"serve", "--data", s.dir, "--listen", s.addr, "--admin.listen", "off", "--destinations.allow", "127.0.0.0/8",
	}, args...)
	s.up()
	s.client = newHostClient(s.addr)
	s.client.ReadTimeout = time.Minute
	s.token = readCredentials(t, s.dir).Token
	s.sink = listenHost(t, "127.0.0.2", func(*fasthttp.RequestCtx) { s.arrived.Add(1) })
	return s
}

func (s *scale) index() string { return filepath.Join(s.dir, "index") }

// up starts the server and returns how long it took until it served.
func (s *scale) up() time.Duration {
	s.t.Helper()
	began := time.Now()
	s.proc = launch(s.t, nil, s.args...)
	if err := s.proc.ready(2 * time.Minute); err != nil {
		s.t.Fatal(err)
	}
	return time.Since(began)
}

const scaleBatch = 500 // messages in one call

// batches sends n messages in calls of scaleBatch by 8 producers. Each makes its
// own items.
func (s *scale) batches(n int, item func(rng *rand.Rand, b []byte) []byte) {
	s.t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), uint64(s.pending)))
			for {
				k := left.Add(-scaleBatch) + scaleBatch
				if k <= 0 {
					return
				}
				k = min(k, scaleBatch)
				ids, err := s.batch(rng, int(k), item)
				left.Add(k - int64(len(ids)))
				mu.Lock()
				if failed = errors.Join(failed, err); len(ids) > 0 {
					s.ids = append(s.ids, ids[rng.IntN(len(ids))])
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if failed != nil {
		s.t.Fatal(failed)
	}
}

// batch makes one call, again and again while the server says that it is busy, and
// returns the ids of the messages that it took: the last ones may have been too
// many.
func (s *scale) batch(rng *rand.Rand, n int, item func(*rand.Rand, []byte) []byte) ([]string, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod("POST")
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.SetRequestURI("http://" + s.addr + "/v2/batch")
	body := []byte{'['}
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		body = item(rng, body)
	}
	req.SetBodyRaw(append(body, ']'))
	for {
		err := s.client.Do(req, resp)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode() == http.StatusServiceUnavailable || resp.StatusCode() == http.StatusTooManyRequests:
			time.Sleep(10 * time.Millisecond) // it asked for that
			continue
		case resp.StatusCode() != http.StatusOK:
			return nil, fmt.Errorf("batch: %d %.200s", resp.StatusCode(), resp.Body())
		}
		var got []struct{ MessageID, Error string }
		if err := json.Unmarshal(resp.Body(), &got); err != nil {
			return nil, err
		}
		var ids []string
		for i := range got {
			switch {
			case got[i].Error == "":
				ids = append(ids, got[i].MessageID)
			case !strings.Contains(got[i].Error, "overloaded"):
				return nil, fmt.Errorf("batch: item %d: %s", i, got[i].Error)
			}
		}
		return ids, nil
	}
}

// appendItem adds a message of 300 bytes that do not compress.
func appendItem(rng *rand.Rand, b []byte, url string, header string) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
	b = append(b, `{"destination":"`+url+`","headers":{`+header+`},"body":"`...)
	for range 30 {
		for v, n := rng.Uint64(), 10; n > 0; n-- {
			b = append(b, digits[v&63])
			v >>= 6
		}
	}
	return append(b, `"}`...)
}

// fill publishes n messages to 32 hosts that wait for an hour to a day.
func (s *scale) fill(n int) {
	s.t.Helper()
	began := time.Now()
	s.batches(n, func(rng *rand.Rand, b []byte) []byte {
		url := "http://127.1.0." + strconv.Itoa(rng.IntN(32)) + "/later"
		return appendItem(rng, b, url, `"Upstash-Delay":"`+strconv.Itoa(3600+rng.IntN(82_800))+`s"`)
	})
	s.pending += n
	took := time.Since(began)
	s.t.Logf("published %d delayed messages in %v, %.0f/s; now %d wait, the log takes %s, the index %s", n, took.Round(time.Millisecond),
		float64(n)/took.Seconds(), s.pending, mibs(dirSize(s.t, filepath.Join(s.dir, "log"))), mibs(dirSize(s.t, s.index())))
}

// deliver publishes n messages that are due at once and waits for them.
func (s *scale) deliver(n int) {
	s.t.Helper()
	began, target := time.Now(), s.arrived.Load()+int64(n)
	var serial atomic.Int64
	for n > 0 {
		k := min(n, 20_000)
		s.batches(k, func(rng *rand.Rand, b []byte) []byte {
			header := ""
			if rng.Float64() < scaleDedup {
				header = fmt.Sprintf(`"Upstash-Deduplication-Id":"%d-%d"`, target, serial.Add(1))
			}
			return appendItem(rng, b, s.sink+"/now", header)
		})
		n -= k
		for s.arrived.Load() < target-int64(n)-40_000 {
			time.Sleep(time.Millisecond)
		}
	}
	for deadline := time.Now().Add(time.Minute); s.arrived.Load() < target; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d messages did not arrive", target-s.arrived.Load())
		}
	}
	s.ids = nil
	s.t.Logf("delivered in %v", time.Since(began).Round(time.Millisecond))
}

// dead makes n dead letters: their destination refuses connections.
func (s *scale) dead(n int) {
	s.t.Helper()
	s.batches(n, func(rng *rand.Rand, b []byte) []byte {
		return appendItem(rng, b, "http://127.0.0.3:1/dead", `"Upstash-Retries":"0"`)
	})
	for deadline := time.Now().Add(time.Minute); len(s.deadLetters()) < n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d messages are dead letters", len(s.deadLetters()), n)
		}
	}
	s.ids = nil
}

// deadLetters returns all dead letters as the API shows them.
func (s *scale) deadLetters() []string {
	s.t.Helper()
	var all []string
	for cursor := ""; ; {
		status, answer := call(s.t, "GET", "http://"+s.addr+"/v2/dlq?count=100&cursor="+cursor, s.token, "")
		var page struct {
			Messages []json.RawMessage
			Cursor   string
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != http.StatusOK {
			s.t.Fatalf("dead letters: %d %s %v", status, answer, err)
		}
		for _, m := range page.Messages {
			all = append(all, string(m))
		}
		if cursor = page.Cursor; cursor == "" {
			return all
		}
	}
}

// answers asks for up to 500 of the pending messages and for all dead letters.
func (s *scale) answers() []string {
	s.t.Helper()
	all := s.deadLetters()
	for i := 0; i < len(s.ids); i += len(s.ids)/500 + 1 {
		status, answer := call(s.t, "GET", "http://"+s.addr+"/v2/messages/"+s.ids[i], s.token, "")
		if status != http.StatusOK {
			s.t.Fatalf("message %s: %d %s", s.ids[i], status, answer)
		}
		all = append(all, answer)
	}
	return all
}

// memory reads the resident set once the publishes are through.
func (s *scale) memory(when string, limit int64) int64 {
	s.t.Helper()
	rss, peak := residentSet(s.t, s.proc.pid())
	s.t.Logf("%s: resident %s, at most %s", when, mibs(rss), mibs(peak))
	if rss > limit {
		s.t.Errorf("%s: resident set of %s, want less than %s", when, mibs(rss), mibs(limit))
	}
	return rss
}

// killedUnderLoad sends messages that are due at once, and a few delayed ones, for
// some seconds, kills the server among them, and starts it again.
func (s *scale) killedUnderLoad(millions int, limit time.Duration) {
	s.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 99))
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := s.batch(rng, 50, func(rng *rand.Rand, b []byte) []byte {
					if rng.IntN(20) == 0 {
						return appendItem(rng, b, "http://127.1.0.1/later", `"Upstash-Delay":"1d"`)
					}
					return appendItem(rng, b, s.sink+"/now", "")
				})
				if err != nil {
					return // killed
				}
				time.Sleep(20 * time.Millisecond) // a load that delivery keeps up with
			}
		})
	}
	time.Sleep(8 * time.Second) // the load itself
	s.proc.kill()
	close(stop)
	wg.Wait()
	s.client.CloseIdleConnections()
	ready := s.up()
	s.t.Logf("%d M pending, killed under load: ready after %v (%s)", millions, ready.Round(time.Millisecond), s.opened())
	if ready > limit {
		s.t.Errorf("%d M pending: ready after %v, want %v", millions, ready, limit)
	}
}

// rebuilt deletes the index and compares answers.
func (s *scale) rebuilt(limit time.Duration) {
	s.t.Helper()
	before := s.answers()
	s.proc.stop(s.t)
	if err := os.RemoveAll(s.index()); err != nil {
		s.t.Fatal(err)
	}
	s.client.CloseIdleConnections()
	ready := s.up()
	s.t.Logf("index deleted, %d messages wait: ready after %v (%s)", s.pending, ready.Round(time.Millisecond), s.opened())
	if ready > limit {
		s.t.Errorf("rebuilt in %v, want %v", ready, limit)
	}
	if after := s.answers(); !slices.Equal(before, after) {
		s.t.Errorf("%d answers before, %d after the rebuild, and they differ", len(before), len(after))
	}
	s.memory("after the rebuild", 400*config.MiB)
}

var openedLine = regexp.MustCompile(`"msg":"engine: opened",(.*)}`)

// opened is what the server said of its start.
func (s *scale) opened() string {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	s.proc.stderr.await(ctx, `"engine: opened"`) // it comes through another pipe than what ready saw
	if m := openedLine.FindStringSubmatch(s.proc.stderr.String()); m != nil {
		return strings.ReplaceAll(m[1], `"`, "")
	}
	return s.proc.output()
}

// dirSize adds up the files below a directory.
func dirSize(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a file that compaction has just removed
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
