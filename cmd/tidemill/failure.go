package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/wal"
)

// failures are the errors that a status is known of wherever they come from, and what to do
// about those that say it nowhere else. The first that fits counts. OPERATIONS.md has the
// table for people, "When it does not start, and when it stops".
var failures = []struct {
	is     error
	status exit.Status
	advice string
}{
	{engine.ErrLocked, exit.TempFail, ""},
	{engine.ErrNotData, exit.Config, ""},
	{engine.ErrVersion, exit.Data, ""},
	{engine.ErrIndexDamaged, exit.Data, ""},
	{engine.ErrNoBackup, exit.Data, ""},
	{syscall.EADDRINUSE, exit.Unavailable, ""},
	{syscall.EROFS, exit.IO, "the file system is read-only: find out why (dmesg), mount it for writing, then start again"},
	{syscall.ENOSPC, exit.IO, "the disk is full: make room, then start again; nothing that was acknowledged is lost"},
	{syscall.EDQUOT, exit.IO, "the disk quota of this user is used up: raise it or make room, then start again"},
	{syscall.EIO, exit.IO, "the disk fails: look at it (dmesg, smartctl), and have a backup at hand before the next start"},
	{syscall.EMFILE, exit.Config, "the process may not open more files: raise its limit (ulimit -n, LimitNOFILE=)"},
	{syscall.ENOTDIR, exit.Config, ""},
	{fs.ErrPermission, exit.Denied, ""},
	{syscall.EADDRNOTAVAIL, exit.Config, ""},
}

// classified gives an error its status, if it has none, and says what to do about it.
func classified(err error) error {
	if err == nil || exit.Of(err) != exit.Failure {
		return err
	}
	if _, damaged := errors.AsType[*wal.CorruptionError](err); damaged {
		return exit.With(exit.Data, err)
	}
	for _, f := range failures {
		if !errors.Is(err, f.is) {
			continue
		}
		if f.advice != "" {
			err = fmt.Errorf("%w; %s", err, f.advice)
		}
		return exit.With(f.status, err)
	}
	return err
}
