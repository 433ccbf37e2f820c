//go:build !linux

package wal

import "github.com/cockroachdb/pebble/v2/vfs"

func writeDirect(vfs.File) (undo func() error, ok bool) { return nil, false }

func alignedZeros(n int) []byte { return make([]byte, n) }
