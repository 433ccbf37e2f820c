package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// tornTails is mode torn: SIGKILL, and then some blocks of the last segment hold
// something else, as after a power cut in the middle of a write. Only blocks that
// no sync had covered: those above the highest mark and behind the last group
// with an acknowledged message, since acknowledgements are in log order.
//
// What recovery must say of it is worked out here from the files: it cuts what
// lies behind the first break in the order, up to the last header that can still
// be recognised, and says how many bytes.
type tornTails struct {
	plain
	dir  string
	want uint64 // bytes that the next start must say it has cut; 0: it must not
	last []byte // the last segment before it was torn
	path string

	torn, cuts, spared int
	cutBytes           uint64
}

func newTornTails(t *testing.T, _ time.Duration) fault { return &tornTails{dir: t.TempDir()} }

func (f *tornTails) setup() setup { return usual(f.dir) }

func (f *tornTails) strike(p *process) {
	p.kill()
	f.c.load.settle()
	segs := readLog(f.c.t, filepath.Join(f.c.dir, "log"))
	s := segs[len(segs)-1]
	f.path, f.last = s.path, append(f.last[:0], s.data...)
	f.tear(s, segs[f.c.rnd.IntN(len(segs))].data)
	if err := os.WriteFile(s.path, s.data, 0o600); err != nil {
		f.c.t.Fatal(err)
	}
	groups := s.groups()
	end := s.first
	if len(groups) > 0 {
		end = groups[len(groups)-1].end
	}
	_, last := s.traces(end)
	f.want = last - end
}

// tear changes a random choice of the blocks from the durable end to somewhat
// behind the last group. stale is what the disk may have held there before.
func (f *tornTails) tear(s *segmentFile, stale []byte) {
	rnd := f.c.rnd
	grain := []int{512, 4096}[rnd.IntN(2)]
	what := tearings[rnd.IntN(len(tearings))]
	one := 1 + rnd.IntN(4) // one block in so many
	durable, end := f.durable(s)
	from := (s.offset(durable) + grain - 1) / grain * grain
	to := min(s.offset(end)+64*config.KiB, s.offset(s.end)-grain)
	for off := from; off <= to; off += grain {
		if rnd.IntN(one) == 0 {
			what(rnd, s.data[off:off+grain], stale, off)
			if off < s.offset(end) {
				f.torn++
			}
		}
	}
}

// durable returns an end below which everything is on disk, and the end of the
// groups. A tick that came is on disk as well as a message that was acknowledged.
func (f *tornTails) durable(s *segmentFile) (durable, end uint64) {
	durable, end = s.mark(), s.first
	tick := f.c.ticks.quiet()
	for _, g := range s.groups() {
		if end = g.end; g.lsn < tick {
			durable = max(durable, g.end)
		}
		s.eachMessage(g, func(seq uint64, _, _ int) {
			if f.c.book.isAcked(seq) {
				durable = max(durable, g.end)
			}
		})
	}
	return durable, end
}

// tearings are what a block that was not synced may hold.
var tearings = []func(rnd *rand.Rand, block, stale []byte, off int){
	func(_ *rand.Rand, block, _ []byte, _ int) { clear(block) },
	func(rnd *rand.Rand, block, _ []byte, _ int) {
		for i := range block {
			block[i] = byte(rnd.Uint32())
		}
	},
	func(_ *rand.Rand, block, stale []byte, off int) { // of another use of the file
		if off+len(block) <= len(stale) {
			copy(block, stale[off:])
		}
	},
	func(rnd *rand.Rand, block, stale []byte, _ int) { // of another place
		if n := len(stale)/sector - len(block)/sector; n > 0 {
			copy(block, stale[rnd.IntN(n)*sector:])
		}
	},
}

func (f *tornTails) started(p *process) {
	const line = "cut a torn tail"
	said := p.stderr.String()
	switch told := strings.Contains(said, line); {
	case f.want == 0 && told:
		f.c.t.Errorf("a tail was cut and there was none:\n%s", said)
	case f.want > 0 && (!told || !strings.Contains(said, fmt.Sprintf(`"bytes":%d,`, f.want))):
		f.c.t.Errorf("it does not say that it cut a torn tail of %d bytes:\n%s", f.want, said)
	case told:
		f.cuts++
		f.cutBytes += f.want
	}
	f.want = 0
}

// refused: the index may have been made durable between the last sync of the log
// and the kill; then what was torn was durable, and the server knows it.
func (f *tornTails) refused(p *process, _ error) bool {
	if f.last == nil || !strings.Contains(p.stderr.String(), "below the index's durable position") {
		return false
	}
	if err := os.WriteFile(f.path, f.last, 0o600); err != nil {
		f.c.t.Fatal(err)
	}
	f.last, f.want = nil, 0
	f.spared++
	return true
}

func (f *tornTails) report() string {
	if f.cuts == 0 && f.c.rounds >= 10 {
		f.c.t.Error("no tail was torn in a way that shows")
	}
	return fmt.Sprintf("%d blocks of written groups torn; %d starts cut a tail that showed, %d bytes; %d refused since the index knew better",
		f.torn, f.cuts, f.cutBytes, f.spared)
}
