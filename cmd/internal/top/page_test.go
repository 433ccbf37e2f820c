package top

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine"
)

// shown is the snapshot of the documents, and the one a second before it.
func shown(t *testing.T) (now, before *Snapshot) {
	t.Helper()
	now = read(t, &Reader{Admin: &documents{by: adminDocuments}, API: &documents{by: apiDocuments}})
	now.At = time.Date(2026, 3, 1, 0, 0, 1, 0, time.UTC)
	earlier := *now
	disk := *now.Disk
	disk.WrittenBytes -= 1 << 20
	disk.Syncs -= 30
	disk.Published -= 520
	disk.Delivered -= 7
	disk.Records -= 90
	earlier.At, earlier.Disk, earlier.Queues = now.At.Add(-time.Second), &disk, append([]Queue(nil), now.Queues...)
	earlier.Queues[1].Published -= 20
	earlier.Queues[1].Delivered -= 4
	return now, &earlier
}

// TestPage compares a page with testdata/page.txt. What others chose is harmless there: the name
// of the flow-control key would clear the screen.
func TestPage(t *testing.T) {
	now, before := shown(t)
	p := page{snapshot: now, before: before}
	lines, titles := p.lines()
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", "page.txt")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i, l := range lines {
		if titles[i] != (l != "" && lines[max(i-1, 0)] == "" && i > 0) {
			t.Errorf("line %d, %q: a title: %v", i, l, titles[i])
		}
	}
}

func many(hosts, queues int) *Snapshot {
	s := &Snapshot{At: time.Now(), Disk: &engine.Stats{}}
	for i := range hosts {
		s.Hosts = append(s.Hosts, Host{Name: fmt.Sprintf("https://a-rather-long-name-of-a-host-%04d.example.com:443", i), State: quick, InFlight: i, Waiting: 1000 - i, Millis: int64(i % 7)})
	}
	for i := range queues {
		s.Queues = append(s.Queues, Queue{Name: fmt.Sprintf("queue-%04d", i), Kind: "pull", Waiting: i})
	}
	return s
}

func TestPageFitsItsSize(t *testing.T) {
	for _, c := range []struct {
		hosts, queues, height int
		wantHosts, wantQueues string
	}{
		{100, 100, 30, "HOSTS 12 of 100", "QUEUES 11 of 100"},
		{100, 3, 30, "HOSTS 20 of 100", "QUEUES 3"},
		{2, 100, 30, "HOSTS 2", "QUEUES 21 of 100"},
		{100, 100, 5, "HOSTS 1 of 100", "QUEUES 1 of 100"},
		{2, 3, 0, "HOSTS 2", "QUEUES 3"},
	} {
		p := page{snapshot: many(c.hosts, c.queues), width: 80, height: c.height}
		lines, _ := p.lines()
		if c.height > 10 && len(lines) > c.height {
			t.Errorf("%d lines, want %d at most", len(lines), c.height)
		}
		text := "\n" + strings.Join(lines, "\n")
		for _, want := range []string{c.wantHosts, c.wantQueues} {
			if !strings.Contains(text, "\n"+want+"  ") {
				t.Errorf("height %d, %d hosts, %d queues: no line %q in %s", c.height, c.hosts, c.queues, want, text)
			}
		}
	}
}

func TestNamesTakeTheWidthThatIsLeft(t *testing.T) {
	tb := hostTable(many(3, 0))
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "https://a-rather-long-name-of-a-host-0000.example.com:443  quick"},
		{100, "https://a-rathe….example.com:443  quick"},
		{40, "https:/….com:443  quick"}, // the terminal cuts the rest
	} {
		got := tb.lines(byName, 3, c.width)[1]
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("width %d: %q, want %q", c.width, got, c.want)
		}
		if n := utf8.RuneCountInString(got); c.width == 100 && n != 100 {
			t.Errorf("%d characters, want 100: %q", n, got)
		}
	}
}

func TestOrders(t *testing.T) {
	s := &Snapshot{At: time.Now(), Hosts: []Host{
		{Name: "b", State: quick, InFlight: 9, Waiting: 1, Millis: 5},
		{Name: "c", State: slow, InFlight: 2, Waiting: 7, Millis: 900},
		{Name: "a", State: halfOpen, Failures: 9, InFlight: 1, Waiting: 3},
		{Name: "d", State: halfOpen, Failures: 12, InFlight: 0, Waiting: 0},
	}}
	tb := hostTable(s)
	for o, want := range map[order]string{byTrouble: "dacb", byWaiting: "cabd", byInFlight: "bcad", bySlowness: "cbad", byName: "abcd"} {
		got := ""
		for _, l := range tb.lines(o, 4, 0)[1:] {
			got += l[:1]
		}
		if got != want {
			t.Errorf("by %s: %s, want %s", o, got, want)
		}
	}
}

func TestRatesOfARestartedServerAreNotKnown(t *testing.T) {
	now, before := shown(t)
	before.Disk.WrittenBytes = now.Disk.WrittenBytes + 1
	for _, b := range []*Snapshot{nil, {At: before.At}, before} {
		p := page{snapshot: now, before: b}
		if got := strings.Join(p.summary(), "\n"); !strings.Contains(got, "written -  groups -  records -") {
			t.Errorf("before %+v: %s", b, got)
		}
	}
}

func TestPlain(t *testing.T) {
	text, err := Plain(t.Context(), &Reader{API: &documents{by: apiDocuments}}, time.Nanosecond)
	if err != nil || !strings.HasPrefix(text, "published 512/s") || !strings.Contains(text, "orders") || !strings.HasSuffix(text, "\n") {
		t.Errorf("%v, %s", err, text)
	}
	if _, err := Plain(t.Context(), &Reader{API: &documents{}}, time.Nanosecond); err == nil || err.Error() != "not for you" {
		t.Errorf("got %v", err)
	}
}

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		count(99999): "99999", count(100000): "100.0k", count(uint64(123456789)): "123.5M", some(0): none, some(3): "3",
		rate(0): "0/s", rate(0.1): "0.1/s", rate(511.6): "512/s",
		size(int64(999)): "999B", size(int64(1000)): "1.0KiB", size(uint64(67108864)): "64.0MiB",
		span(12 * time.Millisecond): "12ms", span(1500 * time.Millisecond): "1.5s", span(119 * time.Second): "119s",
		span(5 * time.Minute): "5m", span(3 * time.Hour): "3h", span(72 * time.Hour): "3d",
		clean("a\x1b]0;x\aé…\u202e"): "a?]0;x?é…?",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
