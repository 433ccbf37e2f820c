package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests below fill real file systems of their own under the built binary: they
// need root, and loop devices where they say so, and are skipped elsewhere.
//
//	TIDEMILL_FULL_CYCLES   how often TestDiskFull fills its disk; 2 by default

// mountTmpfs mounts a file system of so many MiB and returns its directory.
func mountTmpfs(t *testing.T, mebibytes int) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	mount(t, dir, "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mebibytes), "tmpfs", dir)
	return dir
}

// mountExt4 mounts an ext4 in a file of so many MiB.
func mountExt4(t *testing.T, mebibytes int64, options string, mkfs ...string) string {
	t.Helper()
	needRoot(t)
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, mebibytes<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", append(append([]string{"-q", "-F"}, mkfs...), image)...).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4 here: %v %s", err, out)
	}
	mount(t, dir, "-o", options, image, dir)
	return dir
}

func needRoot(t *testing.T) {
	t.Helper()
	builtBinary(t)
	if os.Geteuid() != 0 {
		t.Skip("mounts a small file system: needs root")
	}
}

func mount(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Skipf("cannot mount here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
}

// fullSink is a destination: /fail answers 500, all else 200. It counts arrivals by
// path.
type fullSink struct {
	*httptest.Server
	mu       sync.Mutex
	arrived  map[string]int
	arrivals chan string
}

func newFullSink(t *testing.T) *fullSink {
	s := &fullSink{arrived: map[string]int{}, arrivals: make(chan string, 1<<16)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(r.URL.Path, "/fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		s.mu.Lock()
		s.arrived[r.URL.Path]++
		s.mu.Unlock()
		s.arrivals <- r.URL.Path
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *fullSink) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived[path]
}

// fullServer is a server on a small disk, its client and its destination.
type fullServer struct {
	t     *testing.T
	dir   string // of the file system
	args  []string
	proc  *process
	url   string
	token string
	sink  *fullSink
}

// newFullServer starts one whose disk holds its log's reserve of five spares.
func newFullServer(t *testing.T, dir string, args ...string) *fullServer {
	s := &fullServer{t: t, dir: dir, sink: newFullSink(t)}
	addr := freeAddr(t)
	s.url = "http://" + addr
	s.args = append([]string{
		"serve", "--data", filepath.Join(dir, "data"), "--listen", addr, "--admin.listen", "off",
		"--destinations.allow", "127.0.0.0/8", "--log.segment-size", "4MiB", "--index.memtable", "4MiB",
	}, args...)
	s.start()
	s.token = readCredentials(t, filepath.Join(dir, "data")).Token
	s.awaitReserve()
	return s
}

func (s *fullServer) start() {
	s.t.Helper()
	s.proc = launch(s.t, nil, s.args...)
	if err := s.proc.ready(20 * time.Second); err != nil {
		s.t.Fatal(err)
	}
}

// awaitReserve waits until the log has made what it lives off on a full disk, and
// the ballast is whole.
func (s *fullServer) awaitReserve() {
	s.t.Helper()
	s.eventually("reserve of five spares and a ballast", func() bool {
		spares, _ := filepath.Glob(filepath.Join(s.dir, "data", "log", "*.spare"))
		parts, _ := filepath.Glob(filepath.Join(s.dir, "data", "log", "*.part.spare"))
		ballast, _ := filepath.Glob(filepath.Join(s.dir, "data", "ballast", "*"))
		return len(spares) == 5 && len(parts) == 0 && len(ballast) >= 3
	})
}

func (s *fullServer) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.proc.exited:
			s.t.Fatalf("the server ended while the test waited for %s\n%s", what, s.proc.output())
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("no %s within 20 s\n%s", what, s.proc.output())
		}
	}
}

// tryPublish publishes to a path of the sink.
func (s *fullServer) tryPublish(path string, header ...string) (status int, body string) {
	s.t.Helper()
	return call(s.t, "POST", s.url+"/v2/publish/"+s.sink.URL+path, s.token, "body of "+path, header...)
}

// publish publishes and returns the message's id.
func (s *fullServer) publish(path string, header ...string) string {
	s.t.Helper()
	status, body := s.tryPublish(path, header...)
	var answer struct{ MessageID string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status/100 != 2 {
		s.t.Fatalf("publish %s: %d %s", path, status, body)
	}
	return answer.MessageID
}

// gone waits until the server knows that a message has ended.
func (s *fullServer) gone(id string) {
	s.t.Helper()
	s.eventually("end of "+id, func() bool {
		status, body := call(s.t, "GET", s.url+"/v2/messages/"+id, s.token, "")
		if status != 200 && status != 404 {
			s.t.Fatalf("read %s: %d %s", id, status, body)
		}
		return status == 404
	})
}

// deadLetter waits for the dead letter of a message and returns its id.
func (s *fullServer) deadLetter(id string) (dlqID string) {
	s.t.Helper()
	s.eventually("dead letter of "+id, func() bool {
		status, body := call(s.t, "GET", s.url+"/v2/dlq?messageId="+id, s.token, "")
		var page struct {
			Messages []struct{ DlqID string }
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 {
			s.t.Fatalf("dead letters: %d %s", status, body)
		}
		if len(page.Messages) == 0 {
			return false
		}
		dlqID = page.Messages[0].DlqID
		return true
	})
	return dlqID
}

func (s *fullServer) want(status int, method, path string) {
	s.t.Helper()
	if got, body := call(s.t, method, s.url+path, s.token, ""); got != status {
		s.t.Errorf("%s %s: %d %s, want %d", method, path, got, body, status)
	}
}

// refused waits until a publish gets 507, and checks what it says. Meanwhile it
// takes what room the server gives back: reclaiming goes on, and a start removes
// what it had no time for.
func (s *fullServer) refused() {
	s.t.Helper()
	s.eventually("507", func() bool {
		s.fill(false)
		status, body := s.tryPublish("/refused", "Upstash-Delay", "1h")
		if status == http.StatusInsufficientStorage && !strings.Contains(body, "the disk is full, nothing was stored") {
			s.t.Errorf("507 says %s", body)
		}
		return status == http.StatusInsufficientStorage
	})
	status, body := call(s.t, "POST", s.url+"/v2/batch", s.token, fmt.Sprintf(`[{"destination":%q},{"destination":%q}]`, s.sink.URL+"/x", s.sink.URL+"/y"))
	if status != http.StatusInsufficientStorage {
		s.t.Errorf("a batch: %d %s", status, body)
	}
}

func (s *fullServer) filler() string { return filepath.Join(s.dir, "filler") }

// fill takes all room there is: in steps until publishes are refused, or at once.
func (s *fullServer) fill(slowly bool) {
	s.t.Helper()
	f, err := os.OpenFile(s.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for left := 1 << 12; ; left-- {
		if slowly && left%4 == 0 {
			if status, _ := s.tryPublish("/filling", "Upstash-Delay", "1h"); status == http.StatusInsufficientStorage {
				slowly = false
			}
		}
		_, err := f.Write(block)
		if errors.Is(err, syscall.ENOSPC) && len(block) > 4096 {
			block = block[:len(block)/2]
			continue
		}
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil || left == 0 {
			s.t.Fatalf("fill %s: %v", s.dir, err)
		}
	}
}

// drain removes the filler and waits until publishes are accepted.
func (s *fullServer) drain() time.Duration {
	s.t.Helper()
	if err := os.Remove(s.filler()); err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	s.accepted()
	return time.Since(began)
}

// accepted waits until a publish is.
func (s *fullServer) accepted() {
	s.t.Helper()
	s.eventually("accepted publish", func() bool {
		status, _ := s.tryPublish("/again", "Upstash-Delay", "1h")
		return status/100 == 2
	})
}

// TestDiskFull is P12 on a real file system: when others fill the disk, publishes
// get 507, and deliveries, dead letters, cancels and reads go on; what was
// delivered is known after kill -9 and a start on the full disk; nothing exits,
// and publishing goes on by itself when there is room.
func TestDiskFull(t *testing.T) {
	s := newFullServer(t, mountTmpfs(t, 128))
	var slowest time.Duration
	cycles := int(envNumber(t, "TIDEMILL_FULL_CYCLES", 2))
	for n := range cycles {
		slowest = max(slowest, s.cycle(n))
		if t.Failed() {
			t.Fatalf("in cycle %d\n%s", n, s.proc.output())
		}
	}
	s.proc.stop(t)
	t.Logf("%d cycles; publishing went on %s after room came, at most", cycles, slowest.Round(time.Millisecond))
}

// cycle fills the disk and makes room again. Odd ones fill it at once.
func (s *fullServer) cycle(n int) time.Duration {
	s.t.Helper()
	path := func(name string, i int) string { return fmt.Sprintf("/%s/%d/%d", name, n, i) }
	const messages = 50
	var soon []string
	for i := range messages {
		soon = append(soon, s.publish(path("soon", i), "Upstash-Delay", "2s"))
	}
	dead := s.publish(path("fail", 0), "Upstash-Delay", "2s", "Upstash-Retries", "0")
	retried := s.publish(path("fail", 1), "Upstash-Delay", "2s", "Upstash-Retries", "1", "Upstash-Retry-Delay", "1000")
	later := s.publish(path("later", 0), "Upstash-Delay", "1h")
	canceled := s.publish(path("canceled", 0), "Upstash-Delay", "1h")
	s.awaitReserve()

	s.fill(n%2 == 0)
	s.refused()
	for _, id := range soon {
		s.gone(id)
	}
	s.want(200, "DELETE", "/v2/dlq/"+s.deadLetter(dead))
	s.deadLetter(retried)
	s.want(200, "GET", "/v2/messages/"+later)
	s.want(200, "DELETE", "/v2/messages/"+canceled)

	s.proc.kill()
	s.start()
	s.refused()
	s.want(404, "GET", "/v2/messages/"+canceled)
	s.want(200, "GET", "/v2/messages/"+later)
	if n%2 == 1 { // and an orderly stop on the full disk
		s.proc.stop(s.t)
		s.start()
	}
	took := s.drain()
	s.settle(path("after", 0))
	for i := range messages {
		if got := s.sink.count(path("soon", i)); got != 1 {
			s.t.Errorf("%s came %d times", path("soon", i), got)
		}
	}
	if got := s.sink.count(path("fail", 1)); got != 2 {
		s.t.Errorf("a message with one retry was attempted %d times", got)
	}
	return took
}

// settle waits until a message published now has arrived: what the server would
// have delivered again came before it.
func (s *fullServer) settle(path string) {
	s.t.Helper()
	s.publish(path)
	for end := time.After(20 * time.Second); ; {
		select {
		case got := <-s.sink.arrivals:
			if got == path {
				return
			}
		case <-end:
			s.t.Fatalf("%s does not arrive\n%s", path, s.proc.output())
		}
	}
}

// TestInodesFull: a disk without inodes has room and no names. The log's next
// segment and the index's tables find none, and nothing ends for that.
func TestInodesFull(t *testing.T) {
	s := newFullServer(t, mountExt4(t, 128, "loop", "-N", "128"))
	later := s.publish("/later", "Upstash-Delay", "1s")
	var names []string
	for i := 0; ; i++ {
		name := filepath.Join(s.dir, fmt.Sprintf("inode-%d", i))
		f, err := os.Create(name)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		names = append(names, name)
	}
	refused := false
	random := make([]byte, 512<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random)
	for i := 0; i < 100 && !refused; i++ {
		status, answer := call(t, "POST", s.url+"/v2/publish/"+s.sink.URL+"/x", s.token, string(random), "Upstash-Delay", "1h")
		if refused = status == http.StatusInsufficientStorage; !refused && status/100 != 2 {
			t.Fatalf("publish: %d %s", status, answer)
		}
	}
	if !refused {
		t.Error("the log still finds names for its segments: nothing was tested")
	}
	s.gone(later)
	for _, name := range names[:8] { // a start needs some: Pebble opens with new files
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.proc.kill()
	s.start()
	if got := s.sink.count("/later"); got != 1 {
		t.Errorf("a message came %d times", got)
	}
	for _, name := range names[8:] {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.accepted()
	s.settle("/after")
	s.proc.stop(t)
}

// TestReadOnlyRemount: a file system that the kernel turns read-only under the
// server ends it, with the reason (W8).
func TestReadOnlyRemount(t *testing.T) {
	dir := mountExt4(t, 128, "loop,errors=remount-ro")
	s := newFullServer(t, dir)
	s.publish("/before", "Upstash-Delay", "1h")
	out, err := exec.Command("findmnt", "-no", "SOURCE", dir).Output()
	if err != nil {
		t.Skipf("no findmnt here: %v", err)
	}
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(out))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("tidemill test"), 0o200); err != nil {
		t.Skipf("this kernel cannot be told to fail an ext4: %v", err)
	}
	for i := 0; i < 1000; i++ {
		if _, _, err := request(t.Context(), "POST", s.url+"/v2/publish/"+s.sink.URL+"/x", s.token, "x"); err != nil {
			break // it is gone
		}
	}
	if code := s.proc.wait(t); code <= 0 {
		t.Errorf("exit status %d", code)
	}
	if text := s.proc.stderr.String(); !strings.Contains(text, "read-only file system") && !strings.Contains(text, "input/output error") {
		t.Errorf("the reason is not told:\n%s", text)
	}
}
