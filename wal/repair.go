package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// repairName is the file that a segment is rebuilt in. A leftover of it is removed
// by the next start, as that of a spare is.
func (p *piece) repairName() string { return p.seg.name() + partSuffix }

// Repair makes a damaged log one that opens again and reports exactly what that
// cost. Nothing that is intact is given up: records before, behind and between the
// damage keep their addresses and their checksums, and a repaired file differs
// from the damaged one in its damaged groups and nowhere else (FORMAT.md, "What a
// repair leaves"). A sound log is left as it is.
//
// First each file that is going to change is copied to the directory aside, which
// is created, and that is synced. A crash in the middle leaves a log that can be
// repaired again. The caller holds the directory's lock.
func Repair(o InspectOptions, aside string) (*Report, error) {
	sv, err := newSurvey(o, Position{})
	if err != nil {
		return nil, err
	}
	rep, err := sv.verify()
	if err != nil || len(rep.Damages) == 0 {
		return rep, err
	}
	if err := sv.setAside(aside); err != nil {
		return nil, err
	}
	if err := sv.rebuildPieces(); err != nil {
		return nil, err
	}
	return rep, sv.removeStrays()
}

// setAside copies what the repair is going to change.
func (sv *survey) setAside(dir string) error {
	fs := sv.o.FS
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("wal: make directory %s: %w", dir, err)
	}
	for _, up := range []string{fs.PathDir(dir), fs.PathDir(fs.PathDir(dir))} {
		if err := syncDir(fs, up); err != nil {
			return err
		}
	}
	for _, name := range sv.changing() {
		if err := sv.copyFile(name, fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("wal: set %s aside: %w", name, err)
		}
	}
	return syncDir(fs, dir)
}

// changing returns the files that a repair overwrites or removes.
func (sv *survey) changing() (names []string) {
	for _, p := range sv.pieces {
		if p.damaged && p.file != "" {
			names = append(names, p.file)
		}
	}
	for _, s := range sv.strays {
		names = append(names, s.file)
	}
	return names
}

func (sv *survey) copyFile(name, to string) error {
	from, err := openRough(sv.o.FS, sv.o.Dir, name)
	if err != nil {
		return err
	}
	defer from.close()
	f, err := sv.o.FS.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = copyBytes(f, from, from.size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func copyBytes(to vfs.File, from *roughFile, size int64) error {
	buf := make([]byte, min(size, scanWindow))
	for off := int64(0); off < size; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), size-off)]
		if _, err := from.ReadAt(buf, off); err != nil {
			return err
		}
		if _, err := to.WriteAt(buf, off); err != nil {
			return err
		}
	}
	return nil
}

// rebuildPieces writes each damaged segment anew and then gives them their names:
// all are on disk before the first name changes hands.
func (sv *survey) rebuildPieces() error {
	fs, dir := sv.o.FS, sv.o.Dir
	damaged := slices.DeleteFunc(slices.Clone(sv.pieces), func(p *piece) bool { return !p.damaged })
	for _, p := range damaged {
		if err := sv.rebuild(p, p.repairName()); err != nil {
			return fmt.Errorf("wal: rebuild segment %s: %w", p.seg.name(), err)
		}
	}
	for _, p := range damaged {
		if err := fs.Rename(fs.PathJoin(dir, p.repairName()), fs.PathJoin(dir, p.seg.name())); err != nil {
			return fmt.Errorf("wal: put the rebuilt segment %s in its place: %w", p.seg.name(), err)
		}
	}
	return syncDir(fs, dir)
}

// rebuild writes one segment: the bytes there are, the header as it must be, and
// sound groups in the place of damaged ones.
func (sv *survey) rebuild(p *piece, tmp string) error {
	in, err := sv.inspect(p)
	if err != nil {
		return err
	}
	defer in.close()
	f, err := sv.o.FS.Create(sv.o.FS.PathJoin(sv.o.Dir, tmp), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = copyBytes(f, in.file, p.seg.size)
	if err == nil {
		err = in.patch(f)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// patch overwrites header and damaged groups. The version is this program's: an
// older one does not know fillers.
func (in *inspection) patch(f vfs.File) error {
	seg := in.p.seg
	at := Position{LSN: seg.first, Chain: seg.cut.Chain}
	_, err := in.walk(at, visitor{
		group: func(groupHeader, []byte) error { return nil },
		region: func(r *region) error {
			_, err := f.WriteAt(r.data, seg.offset(r.from))
			return err
		},
	})
	if err != nil {
		return err
	}
	h := seg.segmentHeader
	h.version = formatVersion
	if in.p.next == nil {
		h.synced = max(h.synced, in.mark) // all of it was, or is by the sync that follows
	}
	page := make([]byte, segmentHeaderSize)
	h.encode(page)
	_, err = f.WriteAt(page, 0)
	return err
}

// removeStrays takes away the files that are no part of the log and the old names
// of those that were misplaced.
func (sv *survey) removeStrays() error {
	kept := map[string]bool{}
	for _, p := range sv.pieces {
		kept[p.seg.name()] = true
	}
	for _, name := range sv.changing() {
		if kept[name] {
			continue
		}
		if err := sv.o.FS.Remove(sv.o.FS.PathJoin(sv.o.Dir, name)); err != nil {
			return fmt.Errorf("wal: remove %s: %w", name, err)
		}
	}
	return syncDir(sv.o.FS, sv.o.Dir)
}
