package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one run of the built binary.
type process struct {
	cmd    *exec.Cmd
	stdout *transcript
	stderr *transcript
	exited chan struct{} // closed when err is set
	err    error
}

const runningLine = " is running at " // a server or a sink

// launch starts the binary and does not wait. The test ends it if it still runs.
func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return launchUnder(t, nil, env, args...)
}

// launchUnder is launch with a command in front, which must turn into the binary
// by exec, so that signals and exit status are the binary's.
func launchUnder(t testing.TB, under, env []string, args ...string) *process {
	t.Helper()
	return launchWith(t, nil, under, env, args...)
}

// launchWith is launchUnder with files that are open in the process, from 3 on.
func launchWith(t testing.TB, files []*os.File, under, env []string, args ...string) *process {
	t.Helper()
	line := append(append(slices.Clone(under), builtBinary(t)), args...)
	p := &process{
		cmd:    exec.Command(line[0], line[1:]...),
		stdout: newTranscript(), stderr: newTranscript(),
		exited: make(chan struct{}),
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = cleanEnv(env...), p.stdout, p.stderr
	p.cmd.ExtraFiles = files
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

// start launches the binary and waits until it accepts requests.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := launch(t, []string{"TMPDIR=" + t.TempDir()}, args...) // dev leaves its data when it is killed
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatalf("tidemill %s: %v", strings.Join(args, " "), err)
	}
	return p
}

// ready waits for the line that says that requests are accepted.
func (p *process) ready(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	if p.stdout.await(ctx, runningLine) {
		p.caughtUp()
		return nil
	}
	return fmt.Errorf("no %q on its output\n%s", runningLine, p.output())
}

// caughtUp waits until what a server logged before it said on its standard output that it
// runs has been read, too: the two are read side by side. One that logs warnings alone is
// waited for in vain, for a moment.
func (p *process) caughtUp() {
	if !slices.Contains(p.cmd.Args, "serve") && !slices.Contains(p.cmd.Args, "dev") {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p.stderr.await(ctx, "ready: requests are accepted")
}

func (p *process) output() string {
	return "stdout:\n" + p.stdout.String() + "\nstderr:\n" + p.stderr.String()
}

// url is where the process says it listens.
func (p *process) url() string {
	_, after, _ := strings.Cut(p.stdout.String(), runningLine)
	return strings.TrimSpace(strings.SplitN(after, "\n", 2)[0])
}

// admin is where the admin listener is, "" if it is off.
func (p *process) admin() string {
	_, after, _ := strings.Cut(p.stdout.String(), "Admin: ")
	url, _, _ := strings.Cut(after, "/healthz")
	return url
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill is SIGKILL; it returns when the process is gone. It may be called twice.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// gone reports whether the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop is SIGTERM and expects exit status 0.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if err := p.terminate(); err != nil {
		t.Fatal(err)
	}
}

func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	code, err := p.status()
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d after SIGTERM\n%s", code, p.output())
	}
	return err
}

// wait returns the exit status, -1 for a signal.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	code, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// reloadLine begins what a server logs about a reload.
const reloadLine = `"msg":"configuration `

// hup is SIGHUP. It returns the line about what came of it.
func (p *process) hup() (string, error) {
	before := strings.Count(p.stderr.String(), reloadLine)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		text, n := p.stderr.String(), 0
		for line := range strings.Lines(text) {
			if strings.Contains(line, reloadLine) && strings.HasSuffix(line, "\n") {
				if n++; n > before {
					return line, nil
				}
			}
		}
		if !p.stderr.awaitMore(ctx, len(text)) {
			return "", fmt.Errorf("no line about a reload\n%s", p.output())
		}
	}
}

func (p *process) status() (int, error) {
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		return 0, fmt.Errorf("does not exit\n%s", p.output())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		return 0, p.err
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// transcript collects output and lets tests wait for a text in it.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced by each write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await returns true once text is in the output, false if ctx ends before.
func (o *transcript) await(ctx context.Context, text string) bool {
	for {
		o.mu.Lock()
		found, changed := bytes.Contains(o.text.Bytes(), []byte(text)), o.changed
		o.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return strings.Contains(o.String(), text)
		}
	}
}

// awaitMore returns true once there are more than n bytes, false if ctx ends before.
func (o *transcript) awaitMore(ctx context.Context, n int) bool {
	for {
		o.mu.Lock()
		more, changed := o.text.Len() > n, o.changed
		o.mu.Unlock()
		if more {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// freeAddr is an address that nothing listens on at the moment.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// call makes one API request and returns status and body.
func call(t testing.TB, method, url, token, body string, header ...string) (int, string) {
	t.Helper()
	status, answer, err := request(t.Context(), method, url, token, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func request(ctx context.Context, method, url, token, body string, header ...string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

var credentialLine = regexp.MustCompile(`(?m)^(QSTASH_\w+)="(.*)"$`)

// readCredentials reads what `serve` wrote into its directory.
func readCredentials(t testing.TB, dir string) *credentials {
	t.Helper()
	file, err := os.ReadFile(credentialsPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, m := range credentialLine.FindAllStringSubmatch(string(file), -1) {
		values[m[1]] = m[2]
	}
	c := &credentials{
		Token:   values["QSTASH_TOKEN"],
		Current: values["QSTASH_CURRENT_SIGNING_KEY"],
		Next:    values["QSTASH_NEXT_SIGNING_KEY"],
	}
	checkCredentials(t, c)
	return c
}

var signingKeyForm = regexp.MustCompile(`^sig_[1-9A-HJ-NP-Za-km-z]{28}$`)

// checkCredentials checks the forms that clients rely on (QSTASH.md §0.2, §1.2).
func checkCredentials(t testing.TB, c *credentials) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(c.Token)
	if err != nil {
		t.Fatalf("token %q: %v", c.Token, err)
	}
	var token struct{ UserID, Password string }
	if err := json.Unmarshal(raw, &token); err != nil || token.UserID == "" || len(token.Password) != 32 {
		t.Fatalf("token %q decodes to %s (%v)", c.Token, raw, err)
	}
	if !signingKeyForm.MatchString(c.Current) || !signingKeyForm.MatchString(c.Next) || c.Current == c.Next {
		t.Fatalf("signing keys %q and %q", c.Current, c.Next)
	}
}
