package wal

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// CheckVersions reports whether a later version of the program wrote a segment of the log
// in dir: it is a *VersionError then. It changes nothing, and is for whoever must know
// before Open, which does the same, is called. Anything else that is wrong is Open's to
// report, so that it is nil here.
func CheckVersions(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return nil
	}
	l := &Log{opts: Options{FS: fs, Dir: dir}}
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		page, _, err := l.readHeaderPage(name)
		if err != nil {
			return nil
		}
		_, err = decodeSegmentHeader(page)
		if ve, ok := errors.AsType[*VersionError](err); ok {
			ve.Segment = name
			return ve
		}
	}
	return nil
}
