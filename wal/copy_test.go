package wal

import (
	"bytes"
	"io"
	"testing"
)

// copied returns the files of a copy.
func copied(t testing.TB, o InspectOptions, until Position) (files, *Report) {
	t.Helper()
	out := files{}
	rep, err := Copy(o, until, func(c SegmentCopy) error {
		var b bytes.Buffer
		err := c.Write(&b)
		if int64(b.Len()) != c.Size {
			t.Fatalf("%s: %d bytes where %d were announced", c.Name, b.Len(), c.Size)
		}
		out[c.Name] = b.Bytes()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, rep
}

// TestCopyOfARunningLog: a copy up to any durable end is a log of exactly what was
// durable then, while the original goes on.
func TestCopyOfARunningLog(t *testing.T) {
	f, _, _ := groupedLog(t)
	disk := f.store(t)
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(3)
	l := mustOpen(t, o)
	defer mustClose(t, l)
	want := replayAll(t, l)
	for i := range 60 {
		until := l.Durable()
		var later []entry // which the copy must not show
		for j := range 3 {
			lsn, err := l.Append(payload(i + j))
			if err != nil {
				t.Fatal(err)
			}
			later = append(later, entry{lsn, payload(i + j)})
		}
		f, rep := copied(t, InspectOptions{FS: disk, Dir: testDir}, until)
		if len(rep.Damages) > 0 || rep.End != until.LSN || rep.EndChain != until.Chain {
			t.Fatalf("copy up to %v: %+v", until, rep)
		}
		checkCopy(t, f, until, want)
		want = append(want, later...)
	}
}

func checkCopy(t testing.TB, f files, until Position, want []entry) {
	t.Helper()
	o := smallOptions(f.store(t))
	o.Manual, o.Rand, o.Durable = true, seeded(4), until
	l := mustOpen(t, o)
	defer mustClose(t, l)
	if d := diff(replayAll(t, l), want); d != "" {
		t.Fatalf("the copy up to %v: %s", until, d)
	}
}

// TestCopyOfADamagedLog: the copy is sound, and the report says what it lacks.
func TestCopyOfADamagedLog(t *testing.T) {
	f, want, durable := harmed(t)
	o := InspectOptions{FS: f.store(t), Dir: testDir, Durable: durable}
	found, err := Verify(o)
	if err != nil {
		t.Fatal(err)
	}
	g, rep := copied(t, o, Position{})
	if len(rep.Damages) != len(found.Damages) {
		t.Fatalf("verify found %+v, the copy %+v", found.Damages, rep.Damages)
	}
	checkCopy(t, g, durable, without(want, rep, nil))
	if _, err := Copy(o, Position{}, func(c SegmentCopy) error { return c.Write(full{}) }); err != io.ErrShortWrite {
		t.Fatalf("a full disk: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
