//go:build !linux

package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// allocate does nothing: only Linux promises that the room is there.
func allocate(vfs.File, int64) (ok bool, err error) { return false, nil }
