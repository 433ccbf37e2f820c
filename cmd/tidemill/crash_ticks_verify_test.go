package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/wal"
)

// look reads what is new in the log, up to what is surely on disk, or, of a server that
// was stopped, to the end.
func (k *ticks) look(whole bool) {
	k.c.t.Helper()
	if len(k.schedules) == 0 {
		return
	}
	dir, err := engine.OpenOffline(nil, k.c.dir)
	if err != nil {
		k.c.t.Fatal(err)
	}
	var fresh []tickRecord
	durable, first := k.seen, true
	err = dir.Dump(k.seen, func(d *wal.Dumped) error {
		durable = max(durable, d.Mark)
		switch {
		case d.Kind == "segment" && first:
			if first = false; k.seen > 0 && d.LSN > k.seen {
				k.gaps = append(k.gaps, span{int64(k.seen), int64(d.LSN)})
			}
		case d.Kind == "record" && d.LSN >= k.seen:
			if info := engine.InspectRecord(d.LSN, d.Payload); info.Schedule != "" {
				fresh = append(fresh, tickRecord{uint64(d.LSN), info})
			}
		}
		return nil
	})
	if err != nil {
		k.c.t.Fatalf("list the log: %v", err)
	}
	for _, r := range fresh {
		if !whole && wal.LSN(r.lsn) >= durable {
			break
		}
		k.records = append(k.records, r)
		if r.Type != "schedule" {
			k.newest[r.Schedule] = r.Tick.UnixMilli()
		}
	}
	k.seen = durable
}

// finish waits until each tick up to the end is in the log, and has come.
func (k *ticks) finish(end int64) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		for _, s := range k.schedules {
			if !s.defined || s.offset < 0 {
				k.define(s)
			}
		}
		k.look(false)
		if k.allCame(end) || time.Now().After(deadline) {
			return
		}
	}
}

func (k *ticks) allCame(end int64) bool {
	for _, s := range k.schedules {
		if k.newest[s.id] < end/1000*1000 || s.offset < 0 {
			return false
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.ContainsFunc(k.records, func(r tickRecord) bool {
		a := k.arrivals[r.Message]
		return r.Type == "message" && r.Tick.UnixMilli() <= end && (a == nil || !a.done)
	})
}

// check is called when the server has been stopped.
func (k *ticks) check(end int64) {
	if len(k.schedules) == 0 {
		return
	}
	k.look(true)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.schedules {
		h := &chain{id: s.id, e: &k.evidence, offset: max(0, s.offset), keep: s.keep.Milliseconds()}
		h.follow()
		h.until(end)
		if h.began < s.sent || h.began > s.before {
			h.complain("it begins at %s, defined from %s to %s", clock(h.began), clock(s.sent), clock(s.before))
		}
		k.chains = append(k.chains, h)
	}
	windows := 0
	if slices.ContainsFunc(k.changes, func(c change) bool { return c.answered != 0 }) {
		h := &chain{id: turned, e: &k.evidence, keep: engine.MissedAfter.Milliseconds()}
		h.follow()
		windows = h.keeps(k.changes, end)
		h.until(end - patience)
		k.chains = append(k.chains, h)
	}
	k.report(windows)
}

func (k *ticks) report(windows int) {
	var published, missed, doubled, leftOut, early, guessed int
	var late []time.Duration
	for _, h := range k.chains {
		published, missed, doubled, leftOut = published+len(h.published), missed+h.missed, doubled+h.doubled, leftOut+h.leftOut
		early, guessed, late = early+h.early, guessed+h.guessed, append(late, h.late...)
		for _, complaint := range h.wrong {
			k.c.t.Error(complaint)
		}
	}
	k.c.t.Logf("mode %s: ticks: published %d, missed %d, left out %d, double %d, early %d, known by their arrival alone %d; %d changes, %d answers held to; the server was up in the second of %d, late %s",
		k.c.mode(), published, missed, leftOut, doubled, early, guessed, len(k.changes), windows, len(late), percentiles(late))
}

func percentiles(late []time.Duration) string {
	if len(late) == 0 {
		return "unknown"
	}
	slices.Sort(late)
	at := func(percent int) time.Duration {
		return late[(len(late)-1)*percent/100].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v p99 %v max %v", at(50), at(99), at(100))
}
