package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idleState is what a server holds when nothing happens: its goroutines, and its
// descriptors by kind.
//
// Workers that wait for an attempt are left out: they are made when they are needed, stay,
// and are delivery.parallelism at most, which is checked.
//
// How many segments and tables there are depends on what is stored, so that of regular
// files of the log and the index those count that exceed one for each file that exists,
// and those of files that were deleted.
type idleState struct {
	goroutines int
	workers    int // beside them
	files      map[string]int
	stacks     string // of the goroutines, for whoever looks for the one too many
}

func (s *idleState) equal(o *idleState) bool {
	return s.goroutines == o.goroutines && maps.Equal(s.files, o.files)
}

func (s *idleState) String() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(s.files)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.files[kind], kind))
	}
	return fmt.Sprintf("%d goroutines and %d idle workers; descriptors: %s", s.goroutines, s.workers, strings.Join(parts, ", "))
}

// readIdle takes the state once. The request for the stacks is part of it each time.
func readIdle(t testing.TB, p *process, dir string) *idleState {
	t.Helper()
	s := &idleState{files: descriptorKinds(t, p.pid(), dir)}
	_, s.stacks = call(t, "GET", p.admin()+"/debug/pprof/goroutine?debug=1", "", "")
	text, _, _ := strings.Cut(strings.TrimPrefix(s.stacks, "goroutine profile: total "), "\n")
	var err error
	if s.goroutines, err = strconv.Atoi(text); err != nil {
		t.Fatalf("the goroutines: %v\n%.500s", err, s.stacks)
	}
	if s.workers = idleWorkers(s.stacks); s.workers > crashParallelism {
		t.Errorf("%d workers, at most %d may be", s.workers, crashParallelism)
	}
	s.goroutines -= s.workers
	return s
}

// idleWorkers is how many of the goroutines wait in the engine's pool.
func idleWorkers(stacks string) (n int) {
	for group := range strings.SplitSeq(stacks, "\n\n") {
		if _, first, ok := strings.Cut(group, "#\t"); ok && strings.Contains(strings.SplitN(first, "\n", 2)[0], "engine.(*workers).run+") {
			count, _, _ := strings.Cut(group, " @")
			count = count[strings.LastIndexByte(count, '\n')+1:]
			k, _ := strconv.Atoi(count)
			n += k
		}
	}
	return n
}

// descriptorKinds counts a process's descriptors.
func descriptorKinds(t testing.TB, pid int, dir string) map[string]int {
	t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(fds, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		kind := descriptorKind(to, dir)
		if first := !seen[to]; first && (kind == "log" || kind == "index") {
			seen[to] = true
			continue
		}
		kinds[kind]++
	}
	return kinds
}

func descriptorKind(to, dir string) string {
	if strings.HasSuffix(to, " (deleted)") {
		return "deleted"
	}
	if name, ours := strings.CutPrefix(to, dir+"/"); ours {
		part, _, _ := strings.Cut(name, "/")
		return part
	}
	kind, _, _ := strings.Cut(to, ":[") // of socket:[inode] and pipe:[inode]
	return kind
}

// idleLook is longer than net/http lingers over a connection that it has answered (500 ms):
// a look must not see the one before.
const idleLook = time.Second

// idleLooks is how many looks in a row must show the same.
const idleLooks = 3

// idleSockets is how many sockets an idle server has: the API's and the operator's.
const idleSockets = 2

// awaitStable waits until the server's state no longer changes, and all its connections are
// closed.
func awaitStable(t testing.TB, p *process, dir string) *idleState {
	t.Helper()
	s, same := readIdle(t, p, dir), 1
	for deadline := time.Now().Add(2 * time.Minute); same < idleLooks || s.files["socket"] != idleSockets; time.Sleep(idleLook) {
		next := readIdle(t, p, dir)
		if same++; !next.equal(s) {
			s, same = next, 1
		}
		if time.Now().After(deadline) {
			t.Fatalf("a server that nobody uses is not idle: %s\n%s", s, s.stacks)
		}
	}
	return s
}

// await waits until the server is as idle as it was.
func (s *idleState) await(t testing.TB, p *process, dir string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(idleLook) {
		now := readIdle(t, p, dir)
		if now.equal(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("an idle server holds\n%s\nafter the load; before it was\n%s\nits goroutines after:\n%s\nand before:\n%s", now, s, now.stacks, s.stacks)
			return
		}
	}
}
