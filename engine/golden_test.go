package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/cron"
)

// A golden data directory is what one version of the server left behind: VERSION
// and log, without the index, which is a view. It is written once, by
//
//	go test ./engine -run GoldenDirectory -golden v4
//
// when the bytes of log or records change, and never again: later versions must
// read it.
var goldenName = flag.String("golden", "", "write testdata/<name>: the data directory of this version; it must not exist")

// goldenNow is the wall clock of whoever writes one.
var goldenNow = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

var goldenAccounts = []Account{
	{ID: 1, Name: "one", Token: "golden_token_1", Keys: Keys{Current: "sig_a", Next: "sig_b"}},
	{ID: 2, Name: "two", Token: "golden_token_2", Dev: true, Keys: Keys{Current: "sig_c", Next: "sig_d"}},
}

// golden is what a golden directory holds, as the engine that wrote it saw it.
type golden struct {
	Pending  []goldenMessage
	Gone     []string // delivered, canceled or dead: no longer there for account 1
	Dead     []DeadLetter
	Accounts []AccountInfo
	Keys     []Keys

	Schedules []goldenSchedule
	Now       time.Time // the wall clock then; zero in versions without schedules

	// Of account 1; nil in versions without them.
	Queues []QueueInfo `json:",omitempty"`
	Flows  []FlowInfo  `json:",omitempty"`
	Groups []GroupInfo `json:",omitempty"`
	Wire   *goldenWire `json:",omitempty"`
}

type goldenSchedule struct {
	User UserID
	ScheduleInfo
}

type goldenMessage struct {
	User UserID
	Message
}

func goldenOptions(fs vfs.FS, w Wire, now time.Time) Options {
	o := testOptions(fs, w)
	o.MessageMax, o.ResponseMax, o.SegmentSize = 32<<10, 32<<10, 512<<10
	o.Wall = func() time.Time { return now }
	return o
}

// openGolden opens without making accounts.
func openGolden(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	return e
}

// describe lists what the engine holds of these messages.
func describe(t *testing.T, e *Engine, pending []goldenMessage, gone []string, wire *goldenWire) *golden {
	t.Helper()
	g := &golden{Gone: gone, Accounts: e.Accounts(), Wire: describeWire(t, e, wire)}
	for i := range g.Accounts {
		g.Accounts[i].Created = time.Time{} // the first versions' files do not tell
	}
	for i := range pending {
		m, err := e.Message(pending[i].User, pending[i].ID)
		if err != nil {
			t.Fatalf("message %s: %v", pending[i].ID, err)
		}
		g.Pending = append(g.Pending, goldenMessage{pending[i].User, *m})
	}
	for _, id := range gone {
		if _, err := e.Message(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("message %s is over: %v", id, err)
		}
	}
	for _, a := range g.Accounts {
		keys, err := e.Keys(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		g.Keys = append(g.Keys, keys)
		dead, _, err := e.DeadLetters(DeadLetterQuery{User: a.ID})
		if err != nil {
			t.Fatal(err)
		}
		g.Dead = append(g.Dead, dead...)
		if err := e.Schedules(a.ID, func(s *ScheduleInfo) error {
			s.Created, s.Last, s.Next = s.Created.UTC(), s.Last.UTC(), s.Next.UTC()
			g.Schedules = append(g.Schedules, goldenSchedule{a.ID, *s})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	g.describeLines(t, e)
	return g
}

func (g *golden) describeLines(t *testing.T, e *Engine) {
	t.Helper()
	var errs [3]error
	g.Queues, errs[0] = e.Queues(1)
	g.Flows, errs[1] = e.Flows(1, "")
	g.Groups, errs[2] = e.Groups(1)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for i := range g.Queues {
		q := &g.Queues[i]
		q.Created, q.Updated = q.Created.UTC(), q.Updated.UTC()
	}
	for i := range g.Groups {
		x := &g.Groups[i]
		x.Created, x.Updated = x.Created.UTC(), x.Updated.UTC()
	}
}

func (g *golden) json(t *testing.T) []byte {
	t.Helper()
	p, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return append(p, '\n')
}

// liveGolden is the life of a golden directory: two runs with a bit of everything
// that a record can say, of which the first reclaims the segment it all was in.
func liveGolden(t *testing.T, fs vfs.FS) *golden {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if strings.Contains(a.url, "/fail") {
			*r = dispatch.Result{Status: 503, Header: []dispatch.Header{{Name: "X-Why", Value: "busy"}}, Body: []byte("not now")}
		}
	}
	wall := newTestWall(goldenNow)
	o := goldenOptions(fs, w, goldenNow)
	o.Wall, o.reclaimEvery = wall.now, 10*time.Millisecond
	e := openGolden(t, o)
	if err := e.Bootstrap(goldenAccounts); err != nil {
		t.Fatal(err)
	}
	defineGolden(t, e)
	var pending []goldenMessage
	keep := func(p Publish) {
		id := publish(t, e, p)
		pending = append(pending, goldenMessage{User: max(p.User, 1), Message: Message{ID: id}})
	}
	month := 30 * 24 * time.Hour
	keep(Publish{Delay: month, Body: []byte("plain"), CallerIP: "203.0.113.9", Header: []Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Own", Value: "1"}}})
	keep(Publish{Delay: month, Body: bytes.Repeat([]byte(`{"compressed":true},`), 150)})
	keep(Publish{
		NotBefore: goldenNow.Add(2 * month), Method: 2, Retries: 7, RetryDelay: "pow(2, retried) * 1000",
		Timeout: time.Minute, DedupID: "once", URL: "https://example.com:8443/a%20b?q=1",
	})
	keep(Publish{User: 2, Delay: month})
	keep(Publish{URL: "http://example.com/fail/later", Retries: 5, RetryDelay: "86400000", Body: []byte("again tomorrow")})
	wire := keepWire(t, e, keep)
	keepLines(t, e, keep, func(id string) { pending = append(pending, goldenMessage{User: 1, Message: Message{ID: id}}) })
	gone := []string{
		publish(t, e, Publish{Body: []byte("delivered")}),
		publish(t, e, Publish{URL: "http://example.com/fail/dead", Body: []byte("dead"), Header: []Header{{Name: "X-Own", Value: "2"}}}),
		publish(t, e, Publish{URL: "http://example.com/fail/dropped"}),
		publish(t, e, Publish{URL: "http://example.com/fail/redriven", Body: []byte("a second chance")}),
		publish(t, e, Publish{Delay: month}),
	}
	if err := e.Cancel(1, gone[4]); err != nil {
		t.Fatal(err)
	}
	var dead []DeadLetter
	eventually(t, func() bool {
		var err error
		dead, _, err = e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(dead) == 5
	})
	for _, d := range dead {
		switch d.Message.ID {
		case gone[2]:
			if err := e.DeleteDeadLetter(1, d.ID); err != nil {
				t.Fatal(err)
			}
		case gone[3]:
			if _, err := e.RetryDeadLetter(1, d.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, func() bool { // the redriven one has failed again
		dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		return err == nil && len(dead) == 4
	})
	reclaimGolden(t, e)
	if _, err := e.RotateKeys(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { m, err := e.Message(1, pending[4].ID); return err == nil && m.Attempts == 1 })
	eventually(t, func() bool { _, err := e.Message(1, gone[0]); return errors.Is(err, ErrNotFound) })
	wall.move(e, time.Hour) // a tick of each schedule but the paused ones
	eventually(t, func() bool { return lastTicks(t, e, goldenNow.Add(time.Hour)) == 4 })
	for _, id := range []string{"hourly-skip", "hourly-all"} {
		eventually(t, func() bool { return mustSchedule(t, e, id).State[0].State == RunSuccess })
	}
	pending = append(pending, goldenMessage{User: 1, Message: Message{ID: mustSchedule(t, e, "daily").State[0].MessageID}})
	closeEngine(t, e)
	wall.ms.Add((5*time.Hour + 30*time.Minute).Milliseconds()) // five ticks of the hourly ones are missed
	e = openGolden(t, o)
	eventually(t, func() bool {
		skip, all := mustSchedule(t, e, "hourly-skip"), mustSchedule(t, e, "hourly-all")
		return skip.Error != "" && all.Last.Equal(goldenNow.Add(6*time.Hour)) && all.State[0].State == RunSuccess
	})
	keep(Publish{Delay: month, Body: []byte("of the second run")})
	g := describe(t, e, pending, gone, wire)
	g.Now = wall.now().UTC()
	return g
}

// keepLines leaves something in queues, behind flow-control keys and of URL groups, and
// dead letters of a callback and of a failure callback.
func keepLines(t *testing.T, e *Engine, keep func(Publish), kept func(id string)) {
	t.Helper()
	two, paused := 2, true
	err := errors.Join(
		e.SetQueue(1, "paused", QueueChange{Parallelism: &two, Paused: &paused}), e.SetQueue(1, "deleted", QueueChange{}), e.DeleteQueue(1, "deleted"),
		e.PauseFlow(1, "key"), e.PinFlow(1, "pinned", FlowPin{Parallelism: &two, Rate: &two, Period: time.Hour}),
		e.AddEndpoints(1, "group", []Endpoint{{URL: "http://a.example/"}, {URL: "http://b.example/", Name: "b"}}),
		e.SetGroupHeader(1, "group", []Header{{Name: "Upstash-Retries", Value: "1"}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	month := 30 * 24 * time.Hour
	keep(Publish{Queue: "paused", Body: []byte("first in line")})
	keep(Publish{Queue: "paused", Ordering: "one of these", Delay: month})
	keep(Publish{Flow: FlowControl{Key: "key", Rate: 3, Period: time.Minute, Sliding: true}, Body: []byte("held back")})
	keep(Publish{Delay: month, Callback: &Callback{URL: "http://a.example/cb", Retries: 2}, Failure: &Callback{URL: "http://b.example/cb", Retries: InheritRetries}})
	members, err := e.PublishGroup(&Publish{User: 1, Group: "group", Delay: month, Body: []byte("to all of them")})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		kept(m.MessageID)
	}
	publish(t, e, Publish{Body: []byte("reported"), Callback: &Callback{URL: "http://example.com/fail/cb", Header: []Header{{Name: "X-Own", Value: "3"}}}})
	publish(t, e, Publish{URL: "http://example.com/fail/reported", Failure: &Callback{URL: "http://example.com/ok"}})
}

// defineGolden defines schedules of every kind. That of another account has an id of
// the first one's.
func defineGolden(t *testing.T, e *Engine) {
	t.Helper()
	for _, s := range []*Schedule{
		{ID: "daily", Cron: "0 9 * * *", Message: Publish{User: 1, Delay: 30 * 24 * time.Hour, Body: []byte("daily")}},
		{ID: "daily", Cron: "CRON_TZ=Europe/Berlin 0 10 * * *", Message: Publish{User: 2, Delay: 30 * 24 * time.Hour}},
		{ID: "hourly-skip", Cron: "0 * * * *", Time: TimeRules{Missed: MissedSkip}, Message: Publish{User: 1}},
		{ID: "hourly-all", Cron: "0 0 * * * *", Time: TimeRules{Seconds: true, Missed: MissedAll, MissedMax: 2, MissedWindow: 12 * time.Hour}, Message: Publish{User: 1}},
		{ID: "paused", Cron: "@hourly", Time: TimeRules{DST: cron.Both, Jitter: time.Minute}, Message: Publish{
			User: 1, Body: bytes.Repeat([]byte(`{"compressed":true},`), 150), CallerIP: "203.0.113.9", Retries: 7, RetryDelay: "1000",
			Timeout: time.Minute, Header: []Header{{Name: "X-Own", Value: "1"}}, DedupID: "once",
		}},
		{ID: "deleted", Cron: "@daily", Message: Publish{User: 1}},
	} {
		s.Message.URL = "https://example.com/tick"
		mustDefine(t, e, s)
	}
	if err := errors.Join(e.PauseSchedule(1, "paused"), e.DeleteSchedule(1, "deleted")); err != nil {
		t.Fatal(err)
	}
}

// lastTicks counts the schedules whose newest tick was at a time.
func lastTicks(t *testing.T, e *Engine, at time.Time) (n int) {
	t.Helper()
	for _, a := range goldenAccounts {
		if err := e.Schedules(a.ID, func(s *ScheduleInfo) error {
			if s.Last.Equal(at) {
				n++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// reclaimGolden fills segments with what is delivered at once, until the log begins
// at a floor and what counts has moved to its head.
func reclaimGolden(t *testing.T, e *Engine) {
	t.Helper()
	body := make([]byte, 30<<10) // not worth compressing for the log, but for testdata
	for i := range body {
		body[i] = byte(i / (len(body) / 256))
	}
	began := e.log.First()
	for range 80 {
		publish(t, e, Publish{User: 2, Body: body})
	}
	eventually(t, func() bool { return e.log.First() > began && e.reclaimer.moved.Load() > 0 })
}

// pack writes VERSION and the segments to a compressed tar.
func pack(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	var out bytes.Buffer
	gz, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(gz)
	segments, err := fs.List("data/log")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"VERSION"}
	for _, name := range segments {
		if strings.HasSuffix(name, ".seg") {
			names = append(names, "log/"+name)
		}
	}
	for _, name := range names {
		f, err := fs.Open("data/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close(), tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(p))})); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close(), os.WriteFile(path, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// unpack is the inverse of pack.
func unpack(t *testing.T, path string) vfs.FS {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data/log", 0o700); err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return fs
		} else if err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create("data/"+h.Name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, tr); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeGolden makes a golden directory of this version.
func writeGolden(t *testing.T, dir string) {
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s exists: a golden directory is written once", dir)
	}
	fs := vfs.NewMem()
	g := liveGolden(t, fs)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pack(t, fs, filepath.Join(dir, "data.tar.gz"))
	if err := os.WriteFile(filepath.Join(dir, "want.json"), g.json(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenDirectory opens the data directory of every version there was, and
// finds messages, dead letters, schedules and accounts as they were, from the log alone.
func TestGoldenDirectory(t *testing.T) {
	if *goldenName != "" {
		writeGolden(t, filepath.Join("testdata", *goldenName))
	}
	dirs, err := filepath.Glob("testdata/v*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden directory: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { readGolden(t, dir) })
	}
}

// forgetTimeouts takes out what views did not show before version 5.
func (g *golden) forgetTimeouts() {
	for i := range g.Pending {
		g.Pending[i].Timeout = 0
	}
	for i := range g.Dead {
		g.Dead[i].Timeout = 0
	}
}

func readGolden(t *testing.T, dir string) {
	stored, err := os.ReadFile(filepath.Join(dir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(stored, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Pending) < 6 || len(want.Gone) < 5 || len(want.Dead) < 2 || len(want.Accounts) < 2 {
		t.Fatalf("%s: %d messages, %d gone, %d dead letters, %d accounts: not worth the name",
			dir, len(want.Pending), len(want.Gone), len(want.Dead), len(want.Accounts))
	}
	if !want.Now.IsZero() && len(want.Schedules) < 5 {
		t.Fatalf("%s: %d schedules: not worth the name", dir, len(want.Schedules))
	}
	if strings.HasSuffix(dir, "v4") && (len(want.Queues) == 0 || len(want.Flows) < 2 || len(want.Groups) == 0) {
		t.Fatalf("%s: no queues, keys or groups: not worth the name", dir)
	}
	if filepath.Base(dir) >= "v5" && (want.Wire == nil || len(want.Wire.Items) < 4 || len(want.Wire.Tokens) == 0) {
		t.Fatalf("%s: no pull queues, tokens or replays: not worth the name", dir)
	}
	now := goldenNow.Add(time.Hour)
	if !want.Now.IsZero() {
		now = want.Now
	}
	fs, w := unpack(t, filepath.Join(dir, "data.tar.gz")), newFakeWire()
	for _, run := range []string{"the index rebuilt from the log", "the index as it was rebuilt"} {
		e := openGolden(t, goldenOptions(fs, w, now))
		// Compared as this version sees both: a field that came later is empty in either.
		got := describe(t, e, want.Pending, want.Gone, want.Wire)
		if filepath.Base(dir) < "v5" {
			got.forgetTimeouts()
		}
		if got.Now = want.Now; !bytes.Equal(got.json(t), want.json(t)) {
			t.Errorf("%s: want %s/want.json, got\n%s", run, dir, got.json(t))
		}
		e.AcceptDev(true)
		for _, a := range goldenAccounts {
			if p, ok := e.Authenticate([]byte(a.Token)); !ok || p.User != a.ID {
				t.Errorf("%s: the token of account %d is one of %+v, %v", run, a.ID, p, ok)
			}
		}
		publish(t, e, Publish{Delay: time.Hour})
		if err := e.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.got); n != 0 {
		t.Errorf("%d attempts of messages that are not due", n)
	}
}
