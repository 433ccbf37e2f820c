package index

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// traffic is a load as the applier sees it, in the log's own time.
type traffic struct {
	rate  int           // messages per second
	life  time.Duration // from publish to delivery; 0: they stay pending
	delay time.Duration // after which a batch ends
	limit int           // bytes of log after which a batch ends; 0: when it is full
	lanes int           // that the messages are spread over, in no order; 0: one
}

// BenchmarkTraffic is what a message costs the index in the long run: the applier's work,
// Pebble's memtables, flushes and compactions, as processor time of the whole process;
// rows and bytes are those handed to Pebble, disk is what that wrote, kept what is there
// at the end. Time is that of the
// records, so that a batch ends where it would at this rate, however fast the machine is.
func BenchmarkTraffic(b *testing.B) {
	for _, c := range []traffic{
		{rate: 15_000, life: 50 * time.Millisecond, delay: 20 * time.Millisecond, limit: 1 << 20},
		{rate: 15_000, life: 50 * time.Millisecond, delay: 250 * time.Millisecond},
		{rate: 15_000, life: 50 * time.Millisecond, delay: time.Second},
		{rate: 15_000, life: 200 * time.Millisecond, delay: time.Second},
		{rate: 15_000, life: time.Minute, delay: time.Second},
		{rate: 40_000, delay: 20 * time.Millisecond, limit: 1 << 20},
		{rate: 40_000, delay: time.Second},
		{rate: 150_000, delay: time.Second, lanes: 32},
	} {
		life := c.life.String()
		if c.life == 0 {
			life = "pending"
		}
		b.Run(fmt.Sprintf("life=%s/batch=%s/lanes=%d", life, c.delay, max(c.lanes, 1)), c.run)
	}
}

// trafficMessages is how many are applied in one round.
const trafficMessages = 1_000_000

func (c traffic) run(b *testing.B) {
	for range b.N {
		c.round(b)
	}
}

// trafficRun is one round.
type trafficRun struct {
	traffic
	b   *testing.B
	x   *Index
	a   *Applier
	lsn uint64
	m   record.Message
	buf []byte
	due []record.Row // published and not ended, oldest first

	chance *rand.Rand
	open   int64  // when the batch began, us
	last   uint64 // the LSN up to which Pebble was flushed

	rows, bytes, batches int
}

func (c traffic) round(b *testing.B) {
	o := smallOptions(vfs.Default)
	o.Dir, o.Memtable, o.Cache = b.TempDir(), 64<<20, 64<<20
	r := &trafficRun{traffic: c, b: b, x: mustOpen(b, o), lsn: 1 << 32, chance: rand.New(rand.NewPCG(1, 2))}
	r.m = record.Message{
		User: 1, Lane: 77, Host: 77, URL: "https://hooks.customer.example/v1/events/order", CallerIP: "192.0.2.33", Retries: 3, Method: 1,
		Header: []record.Header{{Name: "Content-Type", Value: "application/json"}}, Body: make([]byte, 1024), BodyLen: 1024,
	}
	a, err := r.x.NewApplier()
	r.must(err)
	r.a, r.last = a, r.lsn
	runtime.GC()
	before := cpuTime(b)
	for i := range int64(trafficMessages) {
		r.step(i * 1_000_000 / int64(c.rate))
	}
	r.end()
	r.must(r.x.Flush())
	used := cpuTime(b) - before
	written, kept := r.x.WrittenBytes(), r.x.db.Metrics().DiskSpaceUsage()
	r.must(r.x.Close())
	per := func(v float64, unit string) { b.ReportMetric(v/trafficMessages, unit+"/msg") }
	per(float64(used), "cpu-ns")
	per(float64(r.rows), "rows")
	per(float64(r.bytes), "B")
	per(float64(written), "disk-B")
	per(float64(kept), "kept-B")
	b.ReportMetric(float64(trafficMessages)/float64(r.batches), "msg/batch")
}

func (r *trafficRun) must(err error) {
	if err != nil {
		r.b.Fatal(err)
	}
}

// step publishes one message at a time, in us, and ends those whose time has come: 16
// records are a group.
func (r *trafficRun) step(now int64) {
	r.m.Created, r.m.Nonce = testNow+now/1000, uint64(now)
	r.m.Due = r.m.Created
	if r.life == 0 {
		r.m.Due += 3_600_000
	}
	if r.lanes > 0 {
		r.m.Host = 77 + r.chance.Uint64N(uint64(r.lanes))
		r.m.Lane = r.m.Host
	}
	r.due = append(r.due, record.Row{User: 1, Nonce: r.m.Nonce, Seq: r.lsn, Pos: r.lsn, Len: uint32(r.m.Size()), Lane: r.m.Lane, Host: r.m.Host, Due: r.m.Due})
	r.apply(r.m.Append(r.buf[:0]))
	for r.life > 0 && len(r.due) > 0 && r.due[0].Due+r.life.Milliseconds() <= r.m.Created {
		o := record.Outcome{Row: r.due[0], Kind: record.Delivered, At: r.m.Created, Took: 3, Attempt: 1, Status: 200}
		r.due = r.due[1:]
		r.apply(o.Append(r.buf[:0]))
	}
	if r.open == 0 {
		r.open = now + 1
	}
	if now-r.open >= r.delay.Microseconds() || r.limit > 0 && r.a.bytes >= r.limit || r.limit == 0 && r.a.Full() {
		r.end()
	}
	if r.lsn-r.last >= 256<<20 {
		r.must(r.x.Flush())
		r.last = r.lsn
	}
}

func (r *trafficRun) apply(p []byte) {
	r.buf = p
	r.must(r.a.Record(r.lsn, p))
	r.lsn += uint64(len(p)+15) &^ 7
	r.a.EndGroup(positionAt(r.lsn))
}

func (r *trafficRun) end() {
	r.must(r.a.fill())
	r.rows, r.bytes, r.batches = r.rows+int(r.a.batch.Count()), r.bytes+r.a.batch.Len(), r.batches+1
	r.must(r.a.Flush())
	r.open = 0
}

// cpuTime returns what the process has used of the processor.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
