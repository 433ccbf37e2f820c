package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/wal"
)

// ticks are the schedules of a crash test: each of their ticks is published exactly
// once, whatever happens to the server (P27). What was published is read from the log,
// again and again before it is reclaimed, and compared with what came (chain).
//
// The test's goroutine owns it, but for what mu guards.
type ticks struct {
	c         *crash
	url       string
	server    *fasthttp.Server
	schedules []*crashSchedule // without the one that is changed
	changes   []change         // of that one, in order
	evidence
	seen   wal.LSN          // the log was looked at up to here
	newest map[string]int64 // the newest tick that was seen there, by schedule
	away   int64            // unix ms, since when the server is not up; 0: it is
	chains []*chain         // when it is over

	mu sync.Mutex // guards evidence.arrivals, which the destination fills
}

// crashSchedule is a schedule of every second.
type crashSchedule struct {
	id      string
	header  []string
	keep    time.Duration // ticks are not given up that are younger
	defined bool          // a definition was answered with 2xx
	sent    int64         // unix ms, of the first try
	before  int64         // unix ms, of the answer
	offset  int64         // ms, what its jitter makes of it; -1: not known yet
}

// newTicks starts the schedules' destination. Nothing is defined before work.
func newTicks(c *crash) *ticks {
	k := &ticks{c: c, newest: map[string]int64{}, evidence: evidence{arrivals: map[string]*tickArrival{}}}
	k.server = &fasthttp.Server{Handler: k.arrive, NoDefaultServerHeader: true}
	k.url = serveHost(c.t, fmt.Sprintf("127.0.0.%d", 2+crashHosts), k.server) + "/tick/"
	if !c.setup.ticks {
		return k
	}
	k.schedules = []*crashSchedule{
		{id: "every", keep: engine.MissedAfter},
		{id: "jitter", keep: engine.MissedAfter, header: []string{"Tidemill-Jitter", "900ms"}},
		{id: "all", keep: engine.MissedAfter + engine.DefaultMissedMax*time.Second, header: []string{"Tidemill-Missed", "all"}},
	}
	for _, s := range k.schedules {
		s.offset = -1
	}
	return k
}

// arrive is the destination: it fails the first attempt of one message in eight.
func (k *ticks) arrive(ctx *fasthttp.RequestCtx) {
	at := time.Now()
	id, schedule := string(ctx.Request.Header.Peek("Upstash-Message-Id")), string(ctx.Request.Header.Peek("Upstash-Schedule-Id"))
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.arrivals[id]
	if a == nil {
		a = &tickArrival{schedule: schedule, seq: seqOfMessage(id), first: at}
		k.arrivals[id] = a
	}
	if a.attempts++; string(ctx.Path()) != "/tick/"+schedule || a.schedule != schedule || a.seq == 0 {
		k.c.t.Errorf("a message %q of schedule %q came to %s", id, schedule, ctx.Path())
	}
	if a.attempts == 1 && crc32.ChecksumIEEE([]byte(id))%8 == 0 {
		ctx.SetStatusCode(503)
		return
	}
	a.done = true
}

// seqOfMessage returns the address of a message's record, the upper half of its id:
// 22 digits to the base 58. It returns 0 for what is no id.
func seqOfMessage(id string) uint64 {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	n := new(big.Int)
	for _, d := range strings.TrimPrefix(id, "msg_") {
		n.Add(n.Mul(n, big.NewInt(58)), big.NewInt(int64(strings.IndexRune(digits, d))))
	}
	return n.Rsh(n, 64).Uint64()
}

// down and up note when the server is struck, or its disk, and when it serves again.
func (k *ticks) down() {
	if k.away == 0 {
		k.away = time.Now().UnixMilli()
	}
}

func (k *ticks) up() {
	if k.away != 0 {
		k.outages = append(k.outages, span{k.away, time.Now().UnixMilli()})
	}
	k.away = 0
}

// work is done at the beginning of a round: what is not defined yet is, and now and
// then the one schedule is changed.
func (k *ticks) work() {
	if len(k.schedules) == 0 {
		return
	}
	n := k.answered()
	for _, s := range k.schedules {
		if !s.defined || s.offset < 0 {
			k.define(s)
		}
	}
	if k.c.rnd.IntN(3) == 0 {
		k.turn()
	}
	if k.answered() > n {
		k.outlast()
	}
	k.look(false) // what comes before the next start may be too much for the log to hold
}

// answered is how many requests were answered with 2xx.
func (k *ticks) answered() (n int) {
	for _, s := range k.schedules {
		if s.defined {
			n++
		}
	}
	for _, c := range k.changes {
		if c.answered != 0 {
			n++
		}
	}
	return n
}

func (k *ticks) define(s *crashSchedule) {
	if s.sent == 0 {
		s.sent = time.Now().UnixMilli()
	}
	if !s.defined && k.post(s.id, crashEverySecond, s.header...) {
		s.defined, s.before = true, time.Now().UnixMilli()
	}
	var view struct{ NextScheduleTime int64 }
	if answer, ok := k.send("GET", "/v2/schedules/"+s.id); s.defined && ok && json.Unmarshal([]byte(answer), &view) == nil && view.NextScheduleTime > 0 {
		s.offset = view.NextScheduleTime % 1000
	}
}

func (k *ticks) post(id, cron string, header ...string) bool {
	_, ok := k.send("POST", "/v2/schedules/"+k.url+id, append([]string{
		"Upstash-Schedule-Id", id, "Upstash-Cron", cron, "Tidemill-Cron-Seconds", "true",
		"Upstash-Retries", "5", "Upstash-Retry-Delay", "50 + 100 * retried",
	}, header...)...)
	return ok
}

// send makes one request; ok says that it was answered with 2xx.
func (k *ticks) send(method, path string, header ...string) (answer string, ok bool) {
	status, answer, err := request(k.c.t.Context(), method, k.c.proc.url()+path, k.c.creds.Token, "", header...)
	switch {
	case err != nil, status == 429, status == 503:
		return "", false // nothing is known, or nothing was promised
	case status/100 != 2:
		k.c.t.Errorf("%s %s: %d %s", method, path, status, answer)
	}
	return answer, status/100 == 2
}

// outlast waits until a message is acknowledged that was sent after an answer: a mode
// that damages what no acknowledgement of a message covers spares the answer, too.
func (k *ticks) outlast() {
	b, before := k.c.book, k.c.book.acked.Load()
	for end := time.Now().Add(5 * time.Second); b.acked.Load() <= before+int64(k.c.setup.publishers) && !k.c.proc.gone() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// quiet waits until the destination of a server that has ended has read all that it
// sent, and returns the newest address of a message that came.
func (k *ticks) quiet() (newest uint64) {
	awaitClosed(k.c.t, k.server)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.arrivals {
		newest = max(newest, a.seq)
	}
	return newest
}
