package top

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// page is what is shown of a snapshot.
type page struct {
	snapshot *Snapshot
	before   *Snapshot // for rates of what the server counts; nil for none
	order    order
	width    int // 0: as wide as it gets
	height   int // 0: as high as it gets
}

// lines lays the page out. Titles of tables are marked, so that a terminal can set them off.
func (p *page) lines() (out []string, titles map[int]bool) {
	out = p.summary()
	tables := p.tables()
	room := shares(tables, p.height-len(out)-2*len(tables))
	titles = map[int]bool{}
	for i := range tables {
		rows := len(tables[i].rows)
		if p.height > 0 {
			rows = room[i]
		}
		out = append(out, "")
		titles[len(out)] = true
		out = append(out, tables[i].lines(p.order, rows, p.width)...)
	}
	return out, titles
}

// shares divides room lines among tables: what one does not need is for those after it, and each
// has a line at least.
func shares(tables []table, room int) []int {
	out := make([]int, len(tables))
	for i := range out {
		out[i] = min(len(tables[i].rows), 1)
		room -= out[i]
	}
	for more := true; more && room > 0; {
		more = false
		for i := range out {
			if room > 0 && out[i] < len(tables[i].rows) {
				out[i]++
				room--
				more = true
			}
		}
	}
	return out
}

// summary is what comes before the tables: the account's rates, and the server's disk.
func (p *page) summary() (out []string) {
	s := p.snapshot
	if a := s.Account; a != nil {
		out = append(out,
			fmt.Sprintf("published %s  delivered %s  retried %s  dead %s  canceled %s  backlog %s",
				rate(a.Published), rate(a.Delivered), rate(a.Retried), rate(a.Failed), rate(a.Canceled), count(a.Backlog)),
			strings.Join([]string{quantiles("latency", a.Latency), quantiles("lateness", a.Lateness)}, "  "))
	}
	if n := s.Parallelism; n != nil {
		out = append(out, fmt.Sprintf("attempts in flight %d of %d", n.Count, n.Max))
	}
	if s.Disk != nil {
		out = append(out, serverLines(s.Disk, p.change())...)
	}
	for _, problem := range s.Problems {
		out = append(out, "! "+clean(problem))
	}
	return out
}

func quantiles(what string, q *Quantiles) string {
	if q == nil {
		return what + " " + none
	}
	at := func(ms int64) string { return span(time.Duration(ms) * time.Millisecond) }
	return fmt.Sprintf("%s p50 %s p99 %s max %s", what, at(q.P50), at(q.P99), at(q.Max))
}

// change is what happened to the server between two snapshots.
type change struct {
	before  *engine.Stats // nil: it is not known
	seconds float64
}

func (p *page) change() change {
	if p.before == nil || p.before.Disk == nil || p.before.Disk.WrittenBytes > p.snapshot.Disk.WrittenBytes { // it was started again
		return change{}
	}
	return change{p.before.Disk, p.snapshot.At.Sub(p.before.At).Seconds()}
}

// rate writes how much of a counter came in a second.
func (c change) rate(now *engine.Stats, of func(*engine.Stats) uint64, write func(float64) string) string {
	if c.before == nil || c.seconds <= 0 || of(now) < of(c.before) {
		return none
	}
	return write(float64(of(now)-of(c.before)) / c.seconds)
}

// serverLines tell of all accounts, and of the disk.
func serverLines(d *engine.Stats, c change) []string {
	bytes := func(f float64) string { return size(int64(f)) + "/s" }
	return []string{
		fmt.Sprintf("all accounts: published %s  delivered %s  retried %s  dead %s  canceled %s  backlog %s",
			c.rate(d, func(s *engine.Stats) uint64 { return s.Published }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Delivered }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Retries }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Dead }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Canceled }, rate), count(d.Pending)),
		fmt.Sprintf("log %s in %d segments, %s live, %d spares  written %s  groups %s  records %s  stalls %d",
			size(d.LogBytes), d.Segments, size(d.LiveBytes), d.Spares,
			c.rate(d, func(s *engine.Stats) uint64 { return s.WrittenBytes }, bytes),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Syncs }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Records }, rate), d.Stalls),
		fmt.Sprintf("schedules %s  ticks %s  missed %s  refused: late %s, index %s", count(d.Schedules),
			c.rate(d, func(s *engine.Stats) uint64 { return s.Ticks }, rate), count(d.Missed),
			c.rate(d, func(s *engine.Stats) uint64 { return s.RefusedLate }, rate),
			c.rate(d, func(s *engine.Stats) uint64 { return s.RefusedLag }, rate)),
	}
}
