package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine"
)

// dirFactsOf looks at the data directory.
func dirFactsOf(path string) *dirFacts {
	d := &dirFacts{path: path, uid: -1, euid: os.Geteuid()}
	if path == "" {
		return d
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		d.missing, d.parent = true, existing(path)
		d.locked = !writable(d.parent)
		return d
	}
	if d.err = err; err != nil {
		return d
	}
	d.isDir, d.mode, d.uid = info.IsDir(), info.Mode(), ownerOf(info)
	if d.isDir {
		d.strange = engine.CheckDir(nil, path)
	}
	return d
}

// existing is the nearest directory of path, or above it, that exists.
func existing(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "."
	}
	for {
		if info, err := os.Stat(abs); err == nil && info.IsDir() || abs == filepath.Dir(abs) {
			return abs
		}
		abs = filepath.Dir(abs)
	}
}

const (
	syncFileBytes = 1 << 20 // what is overwritten, like a segment of the log
	syncBytes     = 4096    // a small group
)

// measureSyncs overwrites and flushes a temporary file in dir for about d or until ctx
// ends, with what the log does it with.
// The file keeps its name until then: a file without one is not flushed by every file system.
func measureSyncs(ctx context.Context, dir string, d time.Duration) (s *syncs, err error) {
	tmp, err := os.CreateTemp(dir, ".tidemill-doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	if err := tmp.Close(); err != nil {
		return nil, err
	}
	f, err := vfs.Default.OpenReadWrite(tmp.Name(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, syncFileBytes), 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	s = &syncs{}
	page := make([]byte, syncBytes)
	for began, at := time.Now(), int64(0); s.elapsed < d && ctx.Err() == nil; at = (at + syncBytes) % syncFileBytes {
		page[0]++
		start := time.Now()
		if _, err := f.WriteAt(page, at); err != nil {
			return nil, err
		}
		if err := f.SyncData(); err != nil {
			return nil, err
		}
		s.took = append(s.took, time.Since(start))
		s.elapsed = time.Since(began)
	}
	return s, nil
}

// spaceOf measures the file system of dir.
func spaceOf(dir string) (*space, error) {
	u, err := vfs.Default.GetDiskUsage(dir)
	if err != nil {
		return nil, err
	}
	s := &space{total: int64(u.TotalBytes), free: int64(u.AvailBytes)}
	s.inodes, s.inodesFree = inodesOf(dir)
	return s, nil
}

// newestIn is when the data were last written to, the zero time if there are none.
func newestIn(dir string) (newest time.Time) {
	entries, err := os.ReadDir(filepath.Join(dir, "log"))
	if dir == "" || err != nil {
		return newest
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// builtAt is when this program's source was committed.
func builtAt() (t time.Time) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ = time.Parse(time.RFC3339, s.Value) // the zero time if it is none
		}
	}
	return t
}

// tryListen listens on addr for a moment.
func tryListen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

// askTimeout bounds the wait for a server, which may have stopped answering.
const askTimeout = 3 * time.Second

// ask asks the admin listener at s.url how the server is.
func (s *serverFacts) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/healthz", nil)
	if s.err = err; err != nil {
		return
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) // no proxy
	if s.err = err; err != nil {
		return
	}
	defer resp.Body.Close()
	var health struct {
		Status, Error   string
		Damaged         int64
		DamagedMessages int64 `json:"damaged_messages"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&health)
	switch {
	case err == nil && resp.StatusCode == http.StatusOK && health.Status == "ok":
		s.answers, s.damaged = true, health.Damaged+health.DamagedMessages
	case err == nil && resp.StatusCode == http.StatusServiceUnavailable && health.Error != "":
		s.answers, s.refusal = true, health.Error
	default:
		s.err = fmt.Errorf("%s, and not what a tidemill answers", resp.Status)
	}
}
