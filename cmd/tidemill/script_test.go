package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// TestScript runs testdata/script. Beside the usual commands a script has
//
//	tidemill ARGS            (by exec) a command line that ends by itself
//	up NAME [VAR=VALUE ...] ARGS   starts the built server, waits until it accepts
//	                         requests and sets $NAME_URL and $NAME_ADMIN
//	down NAME                stops it with SIGTERM, wants status 0, and leaves
//	                         NAME.out and NAME.err
//	request STATUS METHOD URL TOKEN [BODY]   stores the answer in answer.json; the
//	                         token may be @FILE
//	hup NAME                 sends it SIGHUP and waits for the line that says what came
//	                         of that, which is left in NAME.hup
//	fails COMMAND ARGS       runs what fails as OPERATIONS.md says in the script's row
//	                         (failure_test.go); it may be a command that runs tidemill
//	ended NAME               waits until the server has ended by itself, as the row says
//	warns NAME               wants what a server that is down has logged to be in the row
//	nowrite NAME             lets the server write no byte more to any file
//	tmpfs DIR OPTIONS        mounts a file system until the script ends
//	writes DIR DURATION      makes a data directory with a message of now + DURATION
//	await URL REGEXP         asks until the answer matches, for 20 s at most
//	mode PATH OCTAL          compares permission bits
//	flip FILE PLACE          changes one bit: at an offset, or in the first place
//	                         where the text stands
//	cut FILE BYTES           takes bytes off the end
//	exits STATUS tidemill ARGS   runs a command line that ends with this status, by
//	                         name (usage, denied, ...: see package exit) or number
//
// and $TAKEN, an address that somebody listens on.
func TestScript(t *testing.T) {
	builtBinary(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // scripts run in parallel, after this function
	var servers sync.Map                // script and name to *process
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition:           scriptCondition,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TAKEN", taken.Addr().String())
			e.Setenv("TAKEN_PORT", portOf(taken.Addr().String())[1:])
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: up NAME ARGS")
				}
				env, line := []string{"TMPDIR=" + ts.Getenv("TMPDIR")}, args[1:]
				for len(line) > 0 && strings.Contains(line[0], "=") {
					env, line = append(env, line[0]), line[1:]
				}
				p := launch(t, env, absolute(ts, line)...)
				ts.Check(p.ready(20 * time.Second))
				servers.Store(ts.Name()+args[0], p)
				ts.Setenv(args[0]+"_URL", p.url())
				ts.Setenv(args[0]+"_ADMIN", p.admin())
			},
			"down": func(ts *testscript.TestScript, neg bool, args []string) {
				v, _ := servers.Load(ts.Name() + args[0])
				p := v.(*process)
				ts.Check(p.terminate())
				ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(p.stdout.String()), 0o600))
				ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(p.stderr.String()), 0o600))
			},
			"request": func(ts *testscript.TestScript, neg bool, args []string) {
				token := args[3]
				if file, ok := strings.CutPrefix(token, "@"); ok {
					token = strings.TrimSpace(ts.ReadFile(file))
				}
				status, body, err := request(t.Context(), args[1], args[2], token, strings.Join(args[4:], " "))
				ts.Check(err)
				if got := fmt.Sprint(status); got != args[0] {
					ts.Fatalf("status %s, want %s: %s", got, args[0], body)
				}
				ts.Check(os.WriteFile(ts.MkAbs("answer.json"), []byte(body), 0o600))
			},
			"hup": func(ts *testscript.TestScript, neg bool, args []string) {
				v, _ := servers.Load(ts.Name() + args[0])
				line, err := v.(*process).hup()
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]+".hup"), []byte(line), 0o600))
			},
			"await":  awaitAnswer,
			"fails":  failsAsDocumented,
			"tmpfs":  scriptTmpfs,
			"writes": writesAtAnotherTime,
			"warns": func(ts *testscript.TestScript, neg bool, args []string) {
				documentedFailure(ts).check(ts, ts.ReadFile(args[0]+".err"), -1)
			},
			"nowrite": func(ts *testscript.TestScript, neg bool, args []string) {
				v, _ := servers.Load(ts.Name() + args[0])
				ts.Check(limitFiles(v.(*process).pid(), 0))
			},
			"ended": func(ts *testscript.TestScript, neg bool, args []string) {
				v, _ := servers.Load(ts.Name() + args[0])
				status, err := v.(*process).status()
				ts.Check(err)
				documentedFailure(ts).check(ts, v.(*process).stderr.String(), status)
			},
			"flip": func(ts *testscript.TestScript, neg bool, args []string) {
				path := ts.MkAbs(args[0])
				b, err := os.ReadFile(path)
				ts.Check(err)
				at, err := strconv.Atoi(args[1])
				if err != nil {
					at = bytes.Index(b, []byte(args[1]))
				}
				if at < 0 || at >= len(b) {
					ts.Fatalf("%s has no place %s", args[0], args[1])
				}
				b[at] ^= 1
				ts.Check(os.WriteFile(path, b, 0o600))
			},
			"cut": func(ts *testscript.TestScript, neg bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				n, err := strconv.ParseInt(args[1], 10, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits STATUS COMMAND ARGS")
				}
				got := exit.OK
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					failed, ok := errors.AsType[*exec.ExitError](err)
					if !ok {
						ts.Fatalf("%v", err)
					}
					got = exit.Status(failed.ExitCode())
				}
				if want, ok := exit.Named(args[0]); !ok {
					ts.Fatalf("there is no status %q", args[0])
				} else if got != want {
					ts.Fatalf("exit status %d, want %d (%s)", got, want, args[0])
				}
			},
			"mode": func(ts *testscript.TestScript, neg bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
					ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
				}
			},
		},
	})
}

// awaitAnswer is the command await.
func awaitAnswer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await URL REGEXP")
	}
	want := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, body, err := request(context.Background(), http.MethodGet, args[0], "", "")
		if err == nil && want.MatchString(body) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not answer %s: %s, %v", args[0], args[1], body, err)
		}
	}
}

// absolute makes the value of --data, and of --keys, one that holds for the server's
// working directory too.
func absolute(ts *testscript.TestScript, args []string) []string {
	for i := range args[:len(args)-1] {
		if args[i] == "--data" || args[i] == "--keys" {
			args[i+1] = ts.MkAbs(args[i+1])
		}
	}
	return args
}
