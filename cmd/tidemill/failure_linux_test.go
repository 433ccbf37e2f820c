package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// mayMount says whether this process may mount a file system.
var mayMount = sync.OnceValue(func() bool {
	dir, err := os.MkdirTemp("", "tidemill-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if unix.Mount("none", dir, "tmpfs", 0, "size=64k") != nil {
		return false
	}
	return unix.Unmount(dir, 0) == nil
})

// scriptCondition knows [mounts], which most machines allow root alone, and [root].
func scriptCondition(name string) (bool, error) {
	switch name {
	case "mounts":
		return mayMount(), nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("there is no condition %s", name)
}

func scriptTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	flags, data := uintptr(0), args[1]
	again := args[1] == "ro"
	if again {
		flags, data = unix.MS_REMOUNT|unix.MS_RDONLY, ""
	}
	ts.Check(unix.Mount("none", dir, "tmpfs", flags, data))
	if !again {
		ts.Defer(func() { ts.Check(unix.Unmount(dir, unix.MNT_DETACH)) })
	}
}

// limitFiles sets how many bytes long a process may make its files.
func limitFiles(pid int, bytes uint64) error {
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: bytes}, nil)
}
