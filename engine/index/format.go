package index

import (
	"fmt"
	"strconv"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// FormatError says that a later version of the server, with a later Pebble, wrote
// the index.
type FormatError struct{ Found, Supported uint64 }

func (e *FormatError) Error() string {
	return fmt.Sprintf("index: Pebble format %d, this version reads up to %d: start the version that wrote it, "+
		"or remove the index directory, it is rebuilt from the log", e.Found, e.Supported)
}

// checkFormat refuses an index of a later Pebble by name. Pebble refuses it as well,
// but says neither what it can read nor what to do.
func checkFormat(fs vfs.FS, dir string) error {
	value, err := atomicfs.ReadMarker(fs, dir, "format-version")
	if oserror.IsNotExist(err) || err == nil && value == "" {
		return nil // there is no index yet
	}
	if err != nil {
		return fmt.Errorf("format of index %s: %w", dir, err)
	}
	found, err := strconv.ParseUint(value, 10, 64)
	if newest := uint64(pebble.FormatNewest); err == nil && found > newest {
		return &FormatError{Found: found, Supported: newest}
	}
	return nil // Pebble says what else is wrong with it
}
