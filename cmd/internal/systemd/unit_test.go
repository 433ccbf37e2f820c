package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnits: systemd reads the units without a complaint, and the exposure that it
// computes of the service is at most 1.2 (RELIABILITY.md (f)).
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has to have systemd-analyze (package systemd): ", err)
		}
		t.Skip("there is no systemd-analyze")
	}
	u := Unit{Data: "/var/lib/mill", Listen: "127.0.0.1:9000", Config: "/etc/tidemill/tidemill.toml"}
	service, err := u.Service()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := u.Socket()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"serve --data /var/lib/mill --config /etc/tidemill/tidemill.toml --listen 127.0.0.1:9000\n", "StateDirectory=mill\n"} {
		if !strings.Contains(service, want) {
			t.Errorf("no %q in\n%s", want, service)
		}
	}
	if !strings.Contains(socket, "ListenStream=127.0.0.1:9000\n") {
		t.Error(socket)
	}
	// The program need not be installed where the test runs.
	program := filepath.Join(t.TempDir(), "tidemill")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/bin/tidemill", program)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s, k := file("tidemill.service", service), file("tidemill.socket", socket)
	for _, args := range [][]string{
		{"verify", "--man=no", s, k},
		{"security", "--offline=true", "--no-pager", "--threshold=12", s},
	} {
		out, err := exec.Command(analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && strings.Contains(string(out), dir) {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// TestVerifyComplains: the check above has teeth.
func TestVerifyComplains(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	path := filepath.Join(t.TempDir(), "tidemill.service")
	bare := "[Service]\nExecStart=/bin/true\nWatchdogSec=30\n"
	if err := os.WriteFile(path, []byte(bare), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=12", path).CombinedOutput(); err == nil {
		t.Errorf("a service without any protection passes\n%s", out)
	}
}

func TestUnitRefuses(t *testing.T) {
	for _, u := range []Unit{{Data: "/srv/mill"}, {Data: "/var/lib/"}, {Data: "/var/lib/a b"}, {Config: "/etc/%n"}, {Listen: "a b"}} {
		if out, err := u.Service(); err == nil {
			t.Errorf("%+v: %s", u, out)
		}
	}
	u := Unit{Listen: "a\nb"}
	if out, err := u.Socket(); err == nil {
		t.Error(out)
	}
	var zero Unit
	for _, f := range []func() (string, error){zero.Service, zero.Socket} {
		if out, err := f(); err != nil || !strings.Contains(out, "[Install]") {
			t.Error(out, err)
		}
	}
}
