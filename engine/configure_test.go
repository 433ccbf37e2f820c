package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

func mustConfigure(t *testing.T, e *Engine, a Account) AccountChange {
	t.Helper()
	a.ID = 1
	did, err := e.ConfigureAccount(&a)
	if err != nil {
		t.Fatal(err)
	}
	return did
}

// TestConfigureAccount: the token and the keys of an account are what the configuration
// says, now and after a restart, and what it says again is not logged again.
func TestConfigureAccount(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := open(t, o)
	other, _ := mustToken(t, e, TokenSpec{})
	first, second := Account{Token: "configured", Keys: Keys{Current: "c1", Next: "n1"}}, Account{Token: "changed"}
	for _, step := range []struct {
		give          Account
		did           AccountChange
		valid, not    string
		current, next string
	}{
		{Account{}, AccountChange{}, "token", "configured", "sig_current", "sig_next"},
		{first, AccountChange{Token: true, Keys: true}, "configured", "token", "c1", "n1"},
		{first, AccountChange{}, "configured", "token", "c1", "n1"},
		{second, AccountChange{Token: true}, "changed", "configured", "c1", "n1"},
		{Account{Keys: Keys{Current: "n1", Next: "n2"}}, AccountChange{Keys: true}, "changed", "configured", "n1", "n2"},
		{Account{}, AccountChange{}, "changed", "configured", "n1", "n2"},
	} {
		before := e.log.Stats().Records
		if did := mustConfigure(t, e, step.give); did != step.did {
			t.Fatalf("%+v: did %+v, want %+v", step.give, did, step.did)
		}
		if logged := e.log.Stats().Records - before; logged != 0 != (step.did != AccountChange{}) {
			t.Errorf("%+v: %d records", step.give, logged)
		}
		for range 2 {
			if k, err := e.Keys(1); err != nil || (k != Keys{step.current, step.next}) {
				t.Errorf("%+v: keys are %+v, %v", step.give, k, err)
			}
			if p := authentic(e, step.valid); p == nil || p.User != 1 || !p.Admin {
				t.Errorf("%+v: %s is not valid: %+v", step.give, step.valid, p)
			}
			if authentic(e, step.not) != nil || authentic(e, other) == nil || len(e.Tokens(1)) != 2 {
				t.Errorf("%+v: tokens are %+v", step.give, e.Tokens(1))
			}
			closeEngine(t, e)
			e = open(t, o)
		}
	}
}

// TestConfiguredStays: what the configuration decides is changed nowhere else.
func TestConfiguredStays(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	refused := func(err error, want string) {
		t.Helper()
		if _, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := e.RevokeToken(e.Tokens(1)[0].ID); err != nil {
		t.Fatal(err)
	}
	if did := mustConfigure(t, e, Account{Token: "configured"}); did != (AccountChange{Token: true, Revived: true}) {
		t.Errorf("did %+v", did)
	}
	refused(e.RevokeToken(e.Tokens(1)[0].ID), "auth.token")
	if _, err := e.RotateKeys(1); err != nil {
		t.Error(err)
	}
	mustConfigure(t, e, Account{Keys: Keys{Next: "n"}})
	_, err := e.RotateKeys(1)
	refused(err, "auth.signing-key")
	if err := e.RevokeToken(e.Tokens(1)[0].ID); err != nil {
		t.Errorf("the configuration names no token any more: %v", err)
	}
}

// TestConfigureIsRefused, and then nothing has changed.
func TestConfigureIsRefused(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	other, _ := mustToken(t, e, TokenSpec{Access: AccessRead})
	if err := e.Bootstrap([]Account{{ID: 7, Name: "dev", Dev: true, Token: "published"}}); err != nil {
		t.Fatal(err)
	}
	for want, a := range map[string]Account{
		"not found":        {ID: 9, Token: "x"},
		"development user": {ID: 7, Token: "x"},
		"another token":    {ID: 1, Token: other},
		"another account":  {ID: 1, Token: "published"},
		"the same":         {ID: 1, Token: "x", Keys: Keys{Current: "sig_next"}},
	} {
		if did, err := e.ConfigureAccount(&a); err == nil || did != (AccountChange{}) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), other) {
			t.Errorf("%+v: %+v, %v; want %q", a, did, err, want)
		}
	}
	if k, _ := e.Keys(1); k != testAccount.Keys || authentic(e, testAccount.Token) == nil || authentic(e, "x") != nil ||
		authentic(e, other).Access != AccessRead {
		t.Error("something has changed")
	}
}
