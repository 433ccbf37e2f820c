package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// ledger is an engine's accounts.
type ledger struct {
	infos     []engine.AccountInfo
	logged    []engine.Account
	err       error
	fileThere bool // when Bootstrap was called
	dir       string
}

func (l *ledger) Accounts() []engine.AccountInfo { return l.infos }

func (l *ledger) Bootstrap(as []engine.Account) error {
	_, err := os.Stat(credentialsPath(l.dir))
	l.fileThere = err == nil
	if l.err == nil {
		l.logged = append(l.logged, as...)
	}
	return l.err
}

func (l *ledger) ConfigureAccount(*engine.Account) (engine.AccountChange, error) {
	panic("not in these tests")
}

// TestBroughtSecrets: what the operator brought is the account's, and nowhere else.
func TestBroughtSecrets(t *testing.T) {
	all := credentials{Token: "own-token", Current: "own-current", Next: "own-next"}
	for _, b := range []credentials{all, {Token: all.Token}, {Current: all.Current, Next: all.Next}, {Next: all.Next}} {
		l := &ledger{dir: t.TempDir()}
		fresh, err := ensureAccount(l, l.dir, b)
		if err != nil {
			t.Fatal(err)
		}
		got := l.logged[0]
		for i, p := range b.pairs() {
			logged := credentials{got.Token, got.Current, got.Next}.pairs()[i].value
			if p.value != "" && logged != p.value || logged == "" {
				t.Errorf("%+v: the account has %s", b, logged)
			}
			if fresh != nil && (p.value == "") != (fresh.pairs()[i].value == logged) {
				t.Errorf("%+v: told is %+v", b, fresh)
			}
		}
		file, err := os.ReadFile(credentialsPath(l.dir))
		if (err != nil) != (b == all) || (fresh == nil) != (b == all) || strings.Contains(string(file), "own-") {
			t.Errorf("%+v: %v, %+v, file\n%s", b, err, fresh, file)
		}
	}
}

// TestFirstAccountSurvivesACrash: the file comes first, so that whatever is logged
// can be read there; a start after a crash in between replaces the file.
func TestFirstAccountSurvivesACrash(t *testing.T) {
	l := &ledger{dir: t.TempDir(), err: errors.New("power cut")}
	if _, err := ensureAccount(l, l.dir, credentials{}); !errors.Is(err, l.err) {
		t.Fatalf("error is %v", err)
	}
	if !l.fileThere {
		t.Fatal("the account was logged before its credentials were written")
	}
	orphan := readCredentials(t, l.dir)

	l.err = nil
	fresh, err := ensureAccount(l, l.dir, credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if got := readCredentials(t, l.dir); *got != *fresh || *got == *orphan {
		t.Errorf("the file holds %+v after a restart, made were %+v", got, fresh)
	}
	if len(l.logged) != 1 || l.logged[0].Token != fresh.Token || l.logged[0].ID != 1 || l.logged[0].Dev {
		t.Errorf("logged are %+v", l.logged)
	}
	if names, _ := filepath.Glob(filepath.Join(l.dir, ".credentials-*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestDevelopmentUsersAreNoAccounts: a directory from `dev --data` gets a real
// account, one with a real account gets no second.
func TestDevelopmentUsersAreNoAccounts(t *testing.T) {
	l := &ledger{dir: t.TempDir()}
	for _, a := range devAccounts() {
		l.infos = append(l.infos, engine.AccountInfo{ID: a.ID, Name: a.Name, Dev: a.Dev})
	}
	if fresh, err := ensureAccount(l, l.dir, credentials{}); err != nil || fresh == nil {
		t.Fatalf("made %v, %v", fresh, err)
	}
	l.infos = append(l.infos, engine.AccountInfo{ID: 1, Name: "user1"})
	before := readCredentials(t, l.dir)
	if fresh, err := ensureAccount(l, l.dir, credentials{}); err != nil || fresh != nil {
		t.Fatalf("made a second account: %v, %v", fresh, err)
	}
	if *readCredentials(t, l.dir) != *before {
		t.Error("a later start changed the file")
	}
}

func TestCredentialsAreFresh(t *testing.T) {
	a, err := newCredentials("user1")
	b, err2 := newCredentials("user1")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	checkCredentials(t, a)
	if a.Token == b.Token || a.Current == b.Current || a.Next == b.Next {
		t.Errorf("%+v and %+v share a secret", a, b)
	}
}

func TestDevUsersHaveTheContractsForm(t *testing.T) {
	seen := map[string]bool{}
	for i, a := range devAccounts() {
		if !a.Dev || a.ID <= devUserBase {
			t.Errorf("user %d: %+v", i+1, a)
		}
		for _, secret := range []string{a.Token, a.Current, a.Next} {
			if seen[secret] {
				t.Errorf("user %d: %s occurs twice", i+1, secret)
			}
			seen[secret] = true
		}
		if !signingKeyForm.MatchString(a.Current) || !signingKeyForm.MatchString(a.Next) {
			t.Errorf("user %d: keys %s, %s", i+1, a.Current, a.Next)
		}
	}
}
