package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loopDisk is an ext4 file system of its own in a file, whose power can be cut and
// which can be made to hang. It is owned by the test's goroutine.
//
// A janitor, a process that outlives the test, thaws and unmounts it if the test
// ends in any other way than through its cleanup: a frozen file system would hold
// on to its writers for ever.
type loopDisk struct {
	t       testing.TB
	base    string // holds image and mount point, and nothing else
	mounted bool
	janitor *exec.Cmd
	alive   io.Closer // the janitor's standard input: at its end it works
}

// The ioctls of a mounted file system. flagNoLogFlush drops what is not on the
// disk yet, the journal's open transaction too.
const (
	fsIocShutdown  = 0x8004587d // _IOR('X', 125, u32)
	fsIocFreeze    = 0xc0045877 // _IOWR('X', 119, int)
	fsIocThaw      = 0xc0045878 // _IOWR('X', 120, int)
	flagNoLogFlush = 2
)

const loopDiskPrefix = "tidemill-disk-"

// newLoopDisk makes and mounts a disk of size bytes, sparse, or skips the test and
// says what is missing here.
func newLoopDisk(t testing.TB, size int64) *loopDisk {
	t.Helper()
	needLoopDisks(t)
	sweepLoopDisks()
	base, err := os.MkdirTemp("", loopDiskPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatal(err)
	}
	d := &loopDisk{t: t, base: base}
	t.Cleanup(d.remove)
	d.startJanitor()
	if err := errors.Join(os.Mkdir(d.dir(), 0o700), makeImage(d.image(), size)); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) {
		t.Skipf("cannot mount a loop device here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return d
}

func needLoopDisks(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system of its own")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skipf("needs mkfs.ext4 (package e2fsprogs): %v", err)
	}
}

func makeImage(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return nil
}

func (d *loopDisk) image() string { return filepath.Join(d.base, "image") }

// dir is the root of the file system.
func (d *loopDisk) dir() string { return filepath.Join(d.base, "root") }

// mount attaches a loop device, which goes away with the mount, and replays the
// journal.
func (d *loopDisk) mount() error {
	dev, err := attachLoop(d.image())
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := unix.Mount(dev.Name(), d.dir(), "ext4", unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s: %w", dev.Name(), err)
	}
	d.mounted = true
	return nil
}

// attachLoop puts a file behind a free loop device and returns the device, open.
func attachLoop(image string) (*os.File, error) {
	back, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 100 { // another process may take the free one first
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		dev, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(back.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if err = unix.IoctlLoopConfigure(int(dev.Fd()), &config); err == nil {
			return dev, nil
		}
		_ = dev.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attach %s: %w", dev.Name(), err)
		}
	}
	return nil, errors.New("every loop device is busy")
}

// unmount lets go of the file system. The process that used it has ended, but the
// kernel may still be closing its files.
func (d *loopDisk) unmount() error {
	var err error
	for range 500 {
		if err = unix.Unmount(d.dir(), 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil {
		d.mounted = false
	}
	return err
}

// ioctl talks to the mounted file system.
func (d *loopDisk) ioctl(request uint, value int) error {
	f, err := os.Open(d.dir())
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), request, value)
}

// cut is the power cut: from now on nothing reaches the disk, and what has not
// until now is lost.
func (d *loopDisk) cut() {
	d.t.Helper()
	if err := d.ioctl(fsIocShutdown, flagNoLogFlush); err != nil {
		d.t.Fatalf("cut the power of %s: %v", d.dir(), err)
	}
}

// boot mounts the disk again after a cut, once nobody uses it any more.
func (d *loopDisk) boot() {
	d.t.Helper()
	if err := errors.Join(d.unmount(), d.mount()); err != nil {
		d.t.Fatalf("mount again after a power cut: %v", err)
	}
}

// freeze makes every write and sync hang until thaw, which may be called twice.
// The janitor thaws if this process is no more.
func (d *loopDisk) freeze() (thaw func()) {
	d.t.Helper()
	if err := d.ioctl(fsIocFreeze, 0); err != nil {
		d.t.Fatalf("freeze %s: %v", d.dir(), err)
	}
	return sync.OnceFunc(func() {
		if err := d.ioctl(fsIocThaw, 0); err != nil {
			d.t.Errorf("thaw %s: %v", d.dir(), err)
		}
	})
}

// startJanitor starts it in a process group of its own: an interrupt from the
// keyboard is for the test.
func (d *loopDisk) startJanitor() {
	d.t.Helper()
	d.janitor = exec.Command("sh", "-c",
		`cat; fsfreeze --unfreeze "$0/root"; umount --lazy "$0/root"; mountpoint -q "$0/root" || rm -rf "$0"`, d.base)
	d.janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := d.janitor.StdinPipe()
	if err == nil {
		err = d.janitor.Start()
	}
	if err != nil {
		d.t.Fatalf("start the janitor: %v", err)
	}
	d.alive = stdin
}

// remove leaves nothing behind. The processes that use the disk have ended: their
// cleanup was registered later and so ran before.
func (d *loopDisk) remove() {
	if d.mounted {
		if err := d.unmount(); err != nil {
			d.t.Errorf("unmount %s: %v", d.dir(), err)
		}
	}
	if d.alive != nil {
		_ = d.alive.Close()
		_ = d.janitor.Wait() // finds nothing to do
	}
	if !d.mounted {
		_ = os.RemoveAll(d.base)
	}
}

// sweepLoopDisks removes what earlier tests left that were killed together with
// their janitors. Disks of running processes stay.
func sweepLoopDisks() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), loopDiskPrefix+"*"))
	for _, base := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(base), loopDiskPrefix), "-")
		if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, 0) == nil {
			continue
		}
		d := &loopDisk{base: base}
		_ = d.ioctl(fsIocThaw, 0) // most are not frozen, and few mounted
		_ = unix.Unmount(d.dir(), unix.MNT_DETACH)
		_ = os.RemoveAll(base)
	}
}
