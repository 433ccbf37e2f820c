package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// forged is the evidence of a run of one schedule, second by second from 0 on.
type forged struct {
	evidence
	lsn uint64
}

func (f *forged) add(info engine.RecordInfo) {
	f.lsn += 512
	info.Schedule = "s"
	f.records = append(f.records, tickRecord{f.lsn, info})
}

func second(n float64) *time.Time {
	t := time.UnixMilli(int64(n * 1000)).UTC()
	return &t
}

func (f *forged) define(cron string, last float64, paused bool) {
	f.add(engine.RecordInfo{Type: "schedule", Name: cron, Tick: second(last), Paused: paused})
}

func (f *forged) miss(from, to, at float64, n int) {
	f.add(engine.RecordInfo{Type: "tick", From: second(from), Tick: second(to), At: second(at), Missed: n})
}

// ticks are published under new ids and come 5 ms after they are due.
func (f *forged) ticks(seconds ...float64) {
	for _, n := range seconds {
		id := fmt.Sprintf("msg_%d", f.lsn/512)
		f.add(engine.RecordInfo{Type: "message", Message: id, Tick: second(n)})
		f.arrivals[id] = &tickArrival{schedule: "s", seq: f.lsn, first: second(n).Add(5 * time.Millisecond), done: true}
	}
}

// arrival of the newest message.
func (f *forged) arrival() *tickArrival { return f.arrivals[f.records[len(f.records)-1].Message] }

// reclaim has the log forget the newest n records before anybody looked.
func (f *forged) reclaim(n int) {
	keep := len(f.records) - n
	f.gaps = append(f.gaps, span{int64(f.records[keep].lsn), int64(f.lsn) + 1})
	f.records = f.records[:keep]
}

// TestCrashChainComplains: the crash test is worth what its chain notices. Each run
// begins with a definition at 0.5 s, and is over at 9.5 s.
func TestCrashChainComplains(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(f *forged)
		want string // a complaint, "" for none
	}{
		"sound":           {func(f *forged) { f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9) }, ""},
		"left out":        {func(f *forged) { f.ticks(1, 2, 3, 5, 6, 7, 8, 9) }, "1 ticks from 00:00:04"},
		"the end is open": {func(f *forged) { f.ticks(1, 2, 3, 4, 5, 6) }, "3 ticks from 00:00:07.000 on are left out before the end"},
		"double":          {func(f *forged) { f.ticks(1, 2, 3, 4, 4, 5, 6, 7, 8, 9) }, "tick 00:00:04.000 was published as msg_4 and as msg_5"},
		"double, later":   {func(f *forged) { f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9, 2) }, "tick 00:00:02.000 was published as msg_2 and as msg_10"},
		"no tick":         {func(f *forged) { f.ticks(1, 2, 2.5, 3, 4, 5, 6, 7, 8, 9) }, "00:00:02.500 is no tick"},
		"early": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.arrival().first = *second(2.999)
			f.ticks(4, 5, 6, 7, 8, 9)
		}, "tick 00:00:03.000 came 1ms early"},
		"lost": {func(f *forged) {
			f.ticks(1, 2, 3)
			delete(f.arrivals, "msg_3")
			f.ticks(4, 5, 6, 7, 8, 9)
		}, "msg_3, which did not come"},
		"failed for good": {func(f *forged) {
			f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9)
			f.arrival().done = false
		}, "msg_9, which did not come"},
		"nobody published it": {func(f *forged) {
			f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9)
			f.arrivals["msg_x"] = &tickArrival{schedule: "s", seq: f.lsn + 512, first: *second(9), done: true}
		}, "message msg_x came, and the log has no such record"},
		"reclaimed": {func(f *forged) {
			f.ticks(1, 2, 3, 4, 5)
			f.reclaim(3)
			f.ticks(6, 7, 8, 9)
		}, ""},
		"reclaimed, left out": {func(f *forged) {
			f.ticks(1, 2, 3, 5)
			f.reclaim(2)
			f.ticks(6, 7, 8, 9)
		}, "left out before tick 00:00:06"},
		"reclaimed, double": {func(f *forged) {
			f.ticks(1, 2, 3, 3, 4)
			f.reclaim(3)
			f.ticks(5, 6, 7, 8, 9)
		}, "tick 00:00:04.000 came 995ms early"},
		"missed, away": {func(f *forged) {
			f.ticks(1)
			f.outages = []span{{1500, 16_500}}
			f.miss(2, 6, 16.6, 5)
			f.ticks(7, 8, 9)
		}, ""},
		"missed, not away": {func(f *forged) {
			f.ticks(1)
			f.miss(2, 6, 16.6, 5)
			f.ticks(7, 8, 9)
		}, "tick 00:00:02.000 was given up 14600 ms later, and the server was up for 14600 ms"},
		"missed, too soon": {func(f *forged) {
			f.ticks(1)
			f.outages = []span{{1500, 16_500}}
			f.miss(2, 7, 16.6, 6)
			f.ticks(8, 9)
		}, "tick 00:00:07.000 was given up 9600 ms later"},
		"missed, another number": {func(f *forged) {
			f.ticks(1)
			f.outages = []span{{1500, 16_500}}
			f.miss(2, 6, 16.6, 4)
			f.ticks(7, 8, 9)
		}, "the record says 4"},
		"missed, and one between": {func(f *forged) {
			f.ticks(1)
			f.outages = []span{{1500, 16_500}}
			f.miss(3, 6, 16.6, 4)
			f.ticks(7, 8, 9)
		}, "ticks are missed since"},
		"copied": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEverySecond, 3, false)
			f.ticks(4, 5, 6, 7, 8, 9)
		}, ""},
		"copied, ahead": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEverySecond, 4.2, false)
			f.ticks(5, 6, 7, 8, 9)
		}, "left out before a definition"},
		"copied, behind": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEverySecond, 2, false)
			f.ticks(4, 5, 6, 7, 8, 9)
		}, "goes back from 00:00:03"},
		"paused and resumed": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEverySecond, 3, true)
			f.define(crashEverySecond, 7.1, false)
			f.ticks(8, 9)
		}, ""},
		"published while paused": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEverySecond, 3, true)
			f.ticks(4, 5, 6, 7, 8, 9)
		}, "tick 00:00:04.000 was published while it was paused"},
		"another expression": {func(f *forged) {
			f.ticks(1, 2, 3)
			f.define(crashEveryOther, 5.1, false)
			f.ticks(6, 8)
		}, ""},
		"ended": {func(f *forged) {
			f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9)
			f.add(engine.RecordInfo{Type: "drop-schedule"})
		}, `a record "drop-schedule"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forged{evidence: evidence{arrivals: map[string]*tickArrival{}}}
			f.define(crashEverySecond, 0.5, false)
			c.run(f)
			h := &chain{id: "s", e: &f.evidence, keep: 10_000}
			h.follow()
			h.until(9500)
			wantComplaint(t, h.wrong, c.want)
		})
	}
}

// TestCrashChangesComplain: an answer that a crash takes back is noticed.
func TestCrashChangesComplain(t *testing.T) {
	pause := change{sent: 3100, answered: 3200, pause: true}
	resume := change{sent: 8100, answered: 8200}
	all := func(f *forged) { f.ticks(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) }
	held := func(f *forged) {
		f.ticks(1, 2, 3)
		f.define(crashEverySecond, 3, true)
		f.define(crashEverySecond, 8.1, false)
		f.ticks(9, 10, 11, 12, 13, 14)
	}
	for name, c := range map[string]struct {
		changes []change
		run     func(f *forged)
		want    string
	}{
		"held":                {[]change{pause, resume}, held, ""},
		"the pause is lost":   {[]change{pause, resume}, all, "tick 00:00:04.000 was published after the answer of 00:00:03.200"},
		"the resume is lost":  {[]change{pause, resume}, func(f *forged) { f.ticks(1, 2, 3); f.define(crashEverySecond, 3, true) }, "tick 00:00:09.000 was not published after the answer of 00:00:08.200"},
		"no answer":           {[]change{{sent: 3100, pause: true}, resume}, all, ""},
		"another, held":       {[]change{{sent: 3100, answered: 3200, cron: crashEveryOther}}, func(f *forged) { f.ticks(1, 2, 3); f.define(crashEveryOther, 3.1, false); f.ticks(4, 6, 8, 10, 12, 14) }, ""},
		"another is lost":     {[]change{{sent: 3100, answered: 3200, cron: crashEveryOther}}, all, "tick 00:00:05.000 was published after the answer"},
		"another, no answer":  {[]change{{sent: 3100, cron: crashEveryOther}, resume}, all, ""},
		"away when it is due": {[]change{pause, resume}, func(f *forged) { held(f); f.records = f.records[:6]; f.outages = []span{{8900, 14_500}} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forged{evidence: evidence{arrivals: map[string]*tickArrival{}}}
			f.define(crashEverySecond, 0.5, false)
			c.run(f)
			h := &chain{id: "s", e: &f.evidence, keep: 10_000}
			h.follow()
			h.wrong = nil
			h.keeps(append([]change{{sent: 400, answered: 500, cron: crashEverySecond}}, c.changes...), 14_500)
			wantComplaint(t, h.wrong, c.want)
		})
	}
}

func wantComplaint(t *testing.T, complaints []string, want string) {
	t.Helper()
	said := strings.Join(complaints, "\n")
	if (want == "") != (said == "") || !strings.Contains(said, want) {
		t.Errorf("complains %q, want %q", said, want)
	}
}

// TestSeqOfMessage: the crash test's own reading of a message id is the engine's.
func TestSeqOfMessage(t *testing.T) {
	for _, seq := range []uint64{1, 512, 1<<32 + 4096, 1<<63 - 1} {
		if got := seqOfMessage(engine.MessageID(seq, 1<<63+seq)); got != seq {
			t.Errorf("the id of %d is read as that of %d", seq, got)
		}
	}
}
