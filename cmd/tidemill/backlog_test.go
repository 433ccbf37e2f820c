package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// benchOnly skips what `make isolation` runs: it takes a while and measures.
func benchOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("TIDEMILL_BACKLOG") == "" {
		t.Skip("a measurement: run it with `make isolation`")
	}
	builtBinary(t)
}

// publisher posts messages of 1 KiB, or of its own body.
type publisher struct {
	addr, token string
	once        sync.Once
	client      *fasthttp.HostClient
	body        []byte
	failed      atomic.Int64
}

func (p *publisher) init() {
	p.client = newHostClient(p.addr)
	p.body = make([]byte, 1024)
	var key [32]byte
	rand.NewChaCha8(key).Read(p.body) // does not compress
}

func (p *publisher) post(target string, header map[string]string) bool {
	p.once.Do(p.init)
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod("POST")
	req.Header.Set("Authorization", "Bearer "+p.token)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.SetRequestURI("http://" + p.addr + "/v2/publish/" + target)
	req.URI().DisablePathNormalizing = true
	req.SetBodyRaw(p.body)
	if err := p.client.Do(req, resp); err != nil || resp.StatusCode() != 200 {
		p.failed.Add(1)
		return false
	}
	return true
}

// TestBacklogMemory: 200,000 messages of 1 KiB that wait an hour leave the process
// below 200 MiB, after publishing and after a restart, since the backlog is on disk.
func TestBacklogMemory(t *testing.T) {
	benchOnly(t)
	const messages, limit = 200_000, 200 << 20
	addr := freeAddr(t)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"serve", "--data", dir, "--listen", addr, "--admin.listen", "off", "--destinations.allow", "127.0.0.0/8"}
	p := start(t, args...)
	pub := &publisher{addr: addr, token: readCredentials(t, dir).Token}
	began := time.Now()
	var next atomic.Int64
	var producers sync.WaitGroup
	for range 64 {
		producers.Go(func() {
			for next.Add(1) <= messages {
				pub.post("http://127.0.0.9:9/later", map[string]string{"Upstash-Delay": "1h"})
			}
		})
	}
	producers.Wait()
	if n := pub.failed.Load(); n > 0 {
		t.Errorf("%d publishes failed", n)
	}
	t.Logf("published in %v", time.Since(began).Round(time.Millisecond))
	for _, when := range []string{"after publishing", "after a restart"} {
		rss, peak := residentSet(t, p.pid())
		t.Logf("%s: resident %s, at most %s", when, mibs(rss), mibs(peak))
		if rss > limit {
			t.Errorf("%s: resident set of %s, want less than %s", when, mibs(rss), config.FormatSize(limit))
		}
		p.stop(t)
		p = start(t, args...)
	}
	p.stop(t)
}

func mibs(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/config.MiB) }

// residentSet reads VmRSS and VmHWM of a process, in bytes.
func residentSet(t testing.TB, pid int) (rss, peak int64) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			rss = kb * config.KiB
		case "VmHWM:":
			peak = kb * config.KiB
		}
	}
	return rss, peak
}
