package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine"
)

// credentials are what a client of one account needs to know.
type credentials struct {
	Token   string
	Current string // signing keys
	Next    string
}

// accounts is the part of the engine that ensureAccount and applyAuth need.
type accounts interface {
	Accounts() []engine.AccountInfo
	Bootstrap([]engine.Account) error
	ConfigureAccount(*engine.Account) (engine.AccountChange, error)
}

// ensureAccount makes the first account that is not one of the published
// development users, if the directory has none: with the secrets that the operator
// brought, and new ones for those that he did not. It returns the new ones, or nil if
// there are none; they alone are in the file, which is not written if there are none.
//
// The file is on disk before the account is logged, so that a crash in between
// leaves no account whose token nobody knows: the next start finds no account and
// overwrites the file. The file is for the operator and never read (W1).
func ensureAccount(e accounts, dir string, brought credentials) (*credentials, error) {
	for _, a := range e.Accounts() {
		if !a.Dev {
			return nil, nil
		}
	}
	name := fmt.Sprintf("user%d", firstAccount)
	drawn, err := newCredentials(name)
	if err != nil {
		return nil, fmt.Errorf("the credentials of the first account: %w", err)
	}
	all := *drawn
	take := func(brought string, to, fresh *string) {
		if brought != "" {
			*to, *fresh = brought, ""
		}
	}
	take(brought.Token, &all.Token, &drawn.Token)
	take(brought.Current, &all.Current, &drawn.Current)
	take(brought.Next, &all.Next, &drawn.Next)
	if len(drawn.there()) == 0 {
		drawn = nil
	} else if err := writeDurably(credentialsPath(dir), drawn.file()); err != nil {
		return nil, fmt.Errorf("write the credentials of the first account: %w", err)
	}
	err = e.Bootstrap([]engine.Account{{
		ID: firstAccount, Name: name, Token: all.Token,
		Keys: engine.Keys{Current: all.Current, Next: all.Next},
	}})
	if err != nil {
		return nil, fmt.Errorf("log the first account: %w", err)
	}
	return drawn, nil
}

func credentialsPath(dir string) string { return filepath.Join(dir, "credentials.toml") }

// newCredentials draws a token and keys from the system's chance.
func newCredentials(user string) (*credentials, error) {
	c := new(credentials)
	var errs [3]error
	c.Token, errs[0] = engine.NewToken(rand.Reader, user)
	c.Current, errs[1] = engine.NewSigningKey(rand.Reader)
	c.Next, errs[2] = engine.NewSigningKey(rand.Reader)
	return c, errors.Join(errs[:]...)
}

// file is TOML and, since it has no spaces around =, also what a shell can source.
func (c *credentials) file() []byte {
	var b strings.Builder
	b.WriteString("# Written once by the first start of `tidemill serve` for its operator. The server\n" +
		"# never reads this file: changing it changes nothing. Keep it secret.\n")
	for _, p := range c.there() {
		fmt.Fprintf(&b, "%s=%q\n", p.name, p.value)
	}
	return []byte(b.String())
}

// export writes the lines to paste into a client's shell.
func (c *credentials) export(w io.Writer, url string) {
	fmt.Fprintf(w, "export QSTASH_URL=%s\n", url)
	for _, p := range c.there() {
		fmt.Fprintf(w, "export %s=%s\n", p.name, p.value)
	}
}

// pair is a secret with the variable that clients look for.
type pair struct{ name, value string }

// pairs are token, current and next key, in this order.
func (c credentials) pairs() []pair {
	return []pair{
		{"QSTASH_TOKEN", c.Token},
		{"QSTASH_CURRENT_SIGNING_KEY", c.Current},
		{"QSTASH_NEXT_SIGNING_KEY", c.Next},
	}
}

// there are the pairs that are not empty.
func (c credentials) there() []pair {
	return slices.DeleteFunc(c.pairs(), func(p pair) bool { return p.value == "" })
}

// writeDurably puts content at path with mode 0600, whole or not at all, and on
// disk when it returns.
func writeDurably(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
