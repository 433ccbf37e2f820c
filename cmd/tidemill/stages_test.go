package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// fetchProfileOf takes a profile from a process's admin listener.
func fetchProfileOf(t *testing.T, p *process, path string) *profile.Profile {
	t.Helper()
	resp, err := http.Get(p.admin() + "/debug/pprof/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v %.200s", path, err, b)
	}
	prof, err := profile.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return prof
}

// stagesOf adds up the samples of a profile by their stage.
func stagesOf(p *profile.Profile) map[string]int64 {
	stages := map[string]int64{}
	for _, s := range p.Sample {
		for _, stage := range s.Label["stage"] {
			stages[stage] += s.Value[0]
		}
	}
	return stages
}

// TestStages: profiles of a server under load separate its parts. A profile of goroutines has all that
// live; one of the processor has those that do the work of publishing and delivering.
func TestStages(t *testing.T) {
	p := start(t, "dev", "--port", "0", "--admin.listen", "127.0.0.1:0")
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default: // an answer of 503 is load, too
					_, _, _ = request(t.Context(), "POST", p.url()+"/v2/publish/"+p.url()+"/v2/health", devUsers[0].Token, strings.Repeat("x", 512))
				}
			}
		})
	}
	defer func() { close(stop); load.Wait(); p.stop(t) }()

	all := stagesOf(fetchProfileOf(t, p, "goroutine"))
	for _, stage := range []string{"api", "commit", "loop", "apply", "flush", "scrub", "reclaim", "admin"} {
		if all[stage] == 0 {
			t.Errorf("no goroutine is in stage %q: %v", stage, all)
		}
	}
	// Samples come a hundred times a second of processor: what the machine has no time for is not in
	// the first profile, so it is taken until all are, or for long enough.
	want, seen := []string{"api", "publish", "loop", "apply", "deliver"}, map[string]int64{}
	missing := func() (list []string) {
		for _, stage := range want {
			if seen[stage] == 0 {
				list = append(list, stage)
			}
		}
		return list
	}
	for end := time.Now().Add(30 * time.Second); len(missing()) > 0 && time.Now().Before(end); {
		for stage, n := range stagesOf(fetchProfileOf(t, p, "profile?seconds=1")) {
			seen[stage] += n
		}
	}
	if list := missing(); len(list) > 0 {
		t.Errorf("no sample of %v: %v", list, seen)
	}
	t.Log(seen)
}
