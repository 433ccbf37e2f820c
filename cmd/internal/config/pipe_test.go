//go:build unix

package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPipe: a pipe is read, as a shell's <(command) is one, and not waited for.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readShort(path, 100); err == nil || !strings.Contains(err.Error(), "a pipe that nobody writes to") {
		t.Errorf("a pipe without a writer: %v", err)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		text, _, err := readShort(path, 4)
		read <- text + " " + err.Error()
	}()
	if _, err := w.WriteString("secret"); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "secre it is longer than 4B" {
		t.Errorf("read %q", got)
	}
	w.Close()
}
