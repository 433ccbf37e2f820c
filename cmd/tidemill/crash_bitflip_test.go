package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// bitFlips is mode bitflip: SIGKILL or a clean stop, and then one bit of the log
// is another: of a segment below its durable end, or of a spare. The server then
// has the choice to refuse the start and say where the damage is, or to start and
// put what it cannot read into the dead letter queue. It depends on what the index
// covers, which after a clean stop is everything. A bit in a segment's header must
// always be found, one in a spare never.
//
// After a refusal the bit is put back. Others stay, so that they add up.
type bitFlips struct {
	plain
	dir   string
	flips []flip // those that are in the files

	found, inMessages, inSpares, silent int
}

// flip is one bit that was turned.
type flip struct {
	path  string
	off   int64
	bit   byte
	where int64  // the offset that a refusal must name: of the group, 0 for the header
	seq   uint64 // the message that was hit, if any
	spare bool
}

func newBitFlips(t *testing.T, _ time.Duration) fault {
	return &bitFlips{dir: t.TempDir()}
}

// setup leaves schedules out: a bit of a definition ends its schedule, and is reported.
func (f *bitFlips) setup() setup {
	s := usual(f.dir)
	s.ticks = false
	return s
}

func (f *bitFlips) strike(p *process) {
	if f.c.rnd.IntN(2) == 0 || p.gone() || p.stdout.String() == "" { // SIGTERM is no clean stop of a start
		p.kill()
	} else if err := p.terminate(); err != nil {
		f.c.t.Fatal(err)
	}
	f.c.load.settle()
	fl := f.choose()
	if err := fl.turn(); err != nil {
		f.c.t.Fatal(err)
	}
	f.flips = append(f.flips, fl)
	switch {
	case fl.spare:
		f.inSpares++
	case fl.seq > 0:
		f.inMessages++
	}
}

// turn turns the bit; twice is nothing.
func (fl *flip) turn() error {
	file, err := os.OpenFile(fl.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = file.ReadAt(b, fl.off)
	if err == nil {
		b[0] ^= fl.bit
		_, err = file.WriteAt(b, fl.off)
	}
	return errors.Join(err, file.Close())
}

// choose picks a bit: in a spare, in a message that has not come yet, or
// anywhere below a durable end.
func (f *bitFlips) choose() flip {
	rnd, log := f.c.rnd, filepath.Join(f.c.dir, "log")
	bit := byte(1) << rnd.IntN(8)
	if spares, _ := filepath.Glob(filepath.Join(log, "*.spare")); len(spares) > 0 && rnd.IntN(6) == 0 {
		path := spares[rnd.IntN(len(spares))]
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return flip{path: path, off: rnd.Int64N(info.Size()), bit: bit, spare: true}
		}
	}
	segs := readLog(f.c.t, log)
	if rnd.IntN(2) == 0 {
		if waiting := f.waiting(segs); len(waiting) > 0 {
			fl := waiting[rnd.IntN(len(waiting))]
			fl.off += rnd.Int64N(fl.where)
			return f.place(segs, fl.path, fl.off, bit)
		}
	}
	n := len(segs)
	s := segs[max(rnd.IntN(n), rnd.IntN(n))] // rather a young one, which the index may not cover
	return f.place(segs, s.path, rnd.Int64N(int64(s.offset(durableEnd(segs, s)))), bit)
}

// durableEnd is where what a sync covered ends in a segment.
func durableEnd(segs []*segmentFile, s *segmentFile) uint64 {
	if s == segs[len(segs)-1] {
		return s.mark()
	}
	return s.end
}

// waiting returns the records of acknowledged messages that have not come yet and
// lie below a durable end: off is where, and where how long it is.
func (f *bitFlips) waiting(segs []*segmentFile) (list []flip) {
	for _, s := range segs {
		end := durableEnd(segs, s)
		for _, g := range s.headers() {
			if g.end > end {
				break
			}
			s.eachMessage(g, func(seq uint64, from, to int) {
				if f.c.book.pending(seq) {
					list = append(list, flip{path: s.path, off: int64(from), where: int64(to - from)})
				}
			})
		}
	}
	return list
}

// place completes a flip with what is at its place.
func (f *bitFlips) place(segs []*segmentFile, path string, off int64, bit byte) flip {
	fl := flip{path: path, off: off, bit: bit}
	s := segs[slices.IndexFunc(segs, func(s *segmentFile) bool { return s.path == path })]
	for _, g := range s.headers() {
		if int64(s.offset(g.lsn)) > off {
			break
		}
		if fl.where = int64(s.offset(g.end)); fl.where <= off {
			continue // else this is the group, if its own header was not turned before
		}
		fl.where = int64(s.offset(g.lsn))
		s.eachMessage(g, func(seq uint64, from, to int) {
			if off >= int64(from) && off < int64(to) {
				fl.seq = seq
			}
		})
	}
	return fl
}

func (f *bitFlips) started(*process) {
	for _, fl := range f.flips {
		if !fl.spare && fl.off < segmentHead {
			f.c.t.Errorf("the server started with bit %08b of byte %d of %s turned, which is in the header", fl.bit, fl.off, filepath.Base(fl.path))
		}
	}
	f.silent = len(f.flips)
}

// refused expects that the error names one of the places, and an instruction, and
// puts that bit back.
func (f *bitFlips) refused(p *process, err error) bool {
	said := p.stderr.String()
	for i, fl := range f.flips {
		where := fmt.Sprintf("segment %s, offset %d:", filepath.Base(fl.path), fl.where)
		if fl.spare || !strings.Contains(said, where) || !strings.Contains(said, "tidemill wal verify") {
			continue
		}
		if err := fl.turn(); err != nil {
			f.c.t.Fatal(err)
		}
		f.flips = slices.Delete(f.flips, i, i+1)
		f.found++
		return true
	}
	f.c.t.Errorf("the start is refused for none of %+v: %v", f.flips, err)
	return false
}

// mayBury: a bit of one message must not take others along.
func (f *bitFlips) mayBury(seq uint64, reason string) bool {
	hit := slices.ContainsFunc(f.flips, func(fl flip) bool { return fl.seq == seq })
	return hit && strings.Contains(reason, "damaged")
}

func (f *bitFlips) report() string {
	return fmt.Sprintf("%d bits turned, %d of them in spares and %d in messages; %d starts refused with the right place; %d bits left where they are",
		f.c.rounds, f.inSpares, f.inMessages, f.found, f.silent)
}
