package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTailOverRestart: `logs tail` goes on over a restart of its server, and shows each message
// once: those from before, from while it was gone, and from after.
func TestTailOverRestart(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	args := []string{"dev", "--data", dir, "--listen", addr, "--admin.listen", "off"}
	p := start(t, args...)
	publish := func(label string) {
		for i := range 3 {
			publishTo(t, p, "http://127.0.0.1:1/", "x", "Upstash-Delay", "1h", "Upstash-Label", fmt.Sprint(label, i))
		}
	}
	publish("before")
	out, told := newTranscript(), newTranscript()
	tail := exec.Command(builtBinary(t), "logs", "tail", "--from", "1h", "--state", "CREATED", "--limit", "9", "-o", "ndjson")
	tail.Env = cleanEnv("QSTASH_DEV=true", "QSTASH_URL=http://"+addr)
	tail.Stdout, tail.Stderr = out, told
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- tail.Wait() }()
	t.Cleanup(func() { _ = tail.Process.Kill() })

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if !out.await(ctx, `"before2"`) {
		t.Fatalf("nothing is shown: %s", told)
	}
	p.stop(t)
	if !told.await(ctx, "The stream broke") {
		t.Fatal("the tail does not notice that its server has stopped")
	}
	p = start(t, args...)
	publish("after")
	if !out.await(ctx, `"after2"`) {
		t.Fatalf("nothing is shown after the restart: %s", told)
	}
	publish("last")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the tail ended with %v: %s", err, told)
		}
	case <-ctx.Done():
		t.Fatalf("the tail has not seen all\n%s", out)
	}
	got := regexp.MustCompile(`"label":"(\w+)"`).FindAllString(out.String(), -1)
	slices.Sort(got)
	if want := 9; len(got) != want || len(slices.Compact(got)) != want {
		t.Errorf("shown were %s", strings.Join(got, " "))
	}
	p.stop(t)
}
