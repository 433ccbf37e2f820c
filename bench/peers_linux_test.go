package bench

import (
	"os"
	"slices"
	"testing"
	"time"
)

// The CPU time of a peer is that of all its processes, and of theirs.
func TestPeersProcesses(t *testing.T) {
	onPath(t, "redis-server")
	o := quickPeers(t, versus(0)).withDefaults()
	s := &system{o: &o, parent: o.DataParent}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := startRedis(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	redis := s.programs[0].cmd.Process.Pid
	if got := s.processes(); !slices.Equal(got, []int{redis, os.Getpid()}) { // the bridge is in this process
		t.Fatalf("processes %v, want %d and %d", got, redis, os.Getpid())
	}
	if got := family(os.Getpid()); got[0] != os.Getpid() || !slices.Contains(got, redis) {
		t.Fatalf("the family of %d is %v, without %d", os.Getpid(), got, redis)
	}
	for begin := time.Now(); time.Since(begin) < 30*time.Millisecond; { // some CPU time
	}
	own, ok := cpuTime(os.Getpid())
	if !ok || own == 0 {
		t.Fatalf("this process used %v, %v", own, ok)
	}
	l := load{pid: -1, processes: s.processes}
	if sum, ok := l.cpuTime(); !ok || sum < own {
		t.Fatalf("both used %v, %v, of which this one %v", sum, ok, own)
	}
	l.processes = func() []int { return []int{-1} }
	if _, ok := l.cpuTime(); ok {
		t.Fatal("the CPU time of nobody is known")
	}
}
