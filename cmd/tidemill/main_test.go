package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// TestMain builds the server once, on first use, for the tests that drive it as a
// process, and looks for leaked goroutines at the end.
func TestMain(m *testing.M) {
	if target := os.Getenv(probeEnv); target != "" {
		if err := runProbe(target, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testscript.Main(suite{m}, map[string]func(){"tidemill": main})
}

type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if code == 0 {
		// fasthttp's helpers sleep for up to 10 s before they look whether to end.
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			return 1
		}
	}
	return code
}

var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// builtBinary returns the path of the built command. Tests that need it drive a
// process of its own, which -race does not reach, so they run without -race only.
func builtBinary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("drives the built binary: not with -short")
	}
	if raceEnabled {
		t.Skip("drives the built binary, which is not built with -race: runs in the plain test run")
	}
	built.once.Do(build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func build() {
	if built.dir, built.err = os.MkdirTemp("", "tidemill-test-"); built.err != nil {
		return
	}
	built.path = filepath.Join(built.dir, "tidemill")
	cmd := exec.Command("go", "build", "-o", built.path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("go build: %w\n%s", err, out)
	}
}

// ownEnv begins the variables that a child must not have from whoever runs the tests: settings, among
// which the tests' own begin with TIDEMILL_ too and would be refused, a server and its token, and what a
// service manager, a container or a developer's shell has said to its own process.
var ownEnv = []string{
	config.EnvPrefix, "QSTASH_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY=",
	"GOMEMLIMIT=", "GOGC=", "GOTRACEBACK=", "NO_COLOR=",
}

// cleanEnv is the environment without ownEnv, and with extra.
func cleanEnv(extra ...string) []string {
	var out []string
	for _, kv := range os.Environ() {
		if !slices.ContainsFunc(ownEnv, func(begin string) bool { return strings.HasPrefix(kv, begin) }) {
			out = append(out, kv)
		}
	}
	return append(out, extra...)
}
