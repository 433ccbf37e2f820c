package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The test binary plays the peers' programs: a directory of links to it, by their names, is the
// PATH. They check what they are started with and what they are sent, and end with an error
// when that is wrong, which fails the run.

// faultEnv asks one of them for a fault: "<program>:<fault>".
const faultEnv = "TIDEMILL_BENCH_TEST_FAULT"

var fakePrograms = map[string]func(ctx context.Context, args []string) error{
	"redis-server": playRedis,
	"nats-server":  playNATS,
	"quirrel":      playQuirrel,
	"postgres":     playPostgres,
	"initdb":       playInitdb,
}

var fakeVersions = map[string]string{
	"redis-server": "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=1",
	"nats-server":  "nats-server: v2.15.2",
	"quirrel":      "1.14.1",
	"postgres":     "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
}

// playProgram plays the program whose name the test binary was started by, if it is one.
func playProgram() (played bool, err error) {
	name := filepath.Base(os.Args[0])
	play := fakePrograms[name]
	switch {
	case play == nil:
		return false, nil
	case len(os.Args) == 2 && os.Args[1] == "--version":
		v := fakeVersions[name]
		if faulty(name, "old") {
			v = "nats-server: v2.9.10"
		}
		fmt.Println(v)
		return true, nil
	case faulty(name, "broken"):
		return true, errors.New("no disk\nat all")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT)
	defer stop()
	return true, play(ctx, os.Args[1:])
}

func faulty(program, fault string) bool { return os.Getenv(faultEnv) == program+":"+fault }

// onPath makes PATH consist of fakes of these programs.
func onPath(t *testing.T, programs ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, p := range programs {
		if err := os.Symlink(self, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or each takes a second to end
}

// pairs checks that what follows each name among args is as wanted, and returns the rest.
func pairs(args []string, want map[string]string) (rest map[string]string, err error) {
	rest = map[string]string{}
	for pair := range slices.Chunk(args, 2) {
		if len(pair) != 2 {
			return nil, fmt.Errorf("%s has no value", pair[0])
		}
		if w, ok := want[pair[0]]; !ok {
			rest[pair[0]] = pair[1]
		} else if w != pair[1] {
			return nil, fmt.Errorf("%s %q, want %q", pair[0], pair[1], w)
		}
		delete(want, pair[0])
	}
	if len(want) > 0 {
		return nil, fmt.Errorf("%q lack %v", args, want)
	}
	return rest, nil
}

// freshlyMade checks that a data directory is one of the harness's, and writes into it.
func freshlyMade(dir string) error {
	if !strings.HasPrefix(filepath.Base(dir), "tidemill-peer-") {
		return fmt.Errorf("%s is not one that was made for this run", dir)
	}
	return os.WriteFile(filepath.Join(dir, "written"), nil, 0o600)
}

// listenAndPlay accepts connections until ctx ends, or until one of them fails, which is the
// program's end. The end of a connection is none.
func listenAndPlay(ctx context.Context, addr string, play func(*bufio.ReadWriter) error) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				err := play(bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)))
				if err != nil && !gone(err) {
					select {
					case failed <- err:
					default:
					}
				}
			}()
		}
	}()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, ln.Close())
}

// gone reports whether an error only says that the other side has hung up.
func gone(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
