package engine

import "github.com/tidemill/tidemill/wal"

// configured is what of an account the configuration decides. What it decides is not
// changed otherwise: the next start would take the change back.
type configured struct{ token, keys bool }

// AccountChange is what ConfigureAccount changed.
type AccountChange struct {
	Token   bool // its own token is another one, and the former is not valid any more
	Revived bool // it had none: that was revoked
	Keys    bool // its signing keys
}

// ConfigureAccount gives an account that is there the token and the signing keys that the
// configuration names, and returns when that is on disk; empty ones are left as they are.
// It takes the place of the token that the account was made with or was given here before;
// tokens of CreateToken stay. Nothing is logged if nothing changes. What is given here can
// afterwards be changed only here: RevokeToken and RotateKeys refuse it.
//
// What cannot be is a LimitError, and changes nothing. It may use the log's reserve, as RevokeToken does. Name and Dev of a are not looked at.
func (e *Engine) ConfigureAccount(a *Account) (did AccountChange, err error) {
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	old := set.byID[a.ID]
	switch {
	case old == nil:
		return did, ErrNotFound
	case old.Dev:
		return did, limitError("a development user has what is published, and nothing else")
	}
	r := *old
	if hash := tokenHash([]byte(a.Token)); a.Token != "" && hash != old.TokenHash {
		if set.byHash[hash] != nil {
			return did, limitError("the configured token is that of another account or another token already: choose a new one")
		}
		did.Token, did.Revived = true, old.TokenHash == hashNone
		r.TokenHash = hash
	}
	if a.Current != "" {
		r.Current = a.Current
	}
	if a.Next != "" {
		r.Next = a.Next
	}
	did.Keys = r.Current != old.Current || r.Next != old.Next
	if did.Keys && r.Current == r.Next {
		return AccountChange{}, limitError("with the configured signing key the account's current and next key are the same: configure both")
	}
	if did.Token || did.Keys {
		if err := e.defineUserLocked(&r, wal.Lazy); err != nil {
			return AccountChange{}, err
		}
	}
	e.users.configured[a.ID] = configured{a.Token != "", a.Current != "" || a.Next != ""}
	return did, nil
}

// configuredToken refuses to revoke the token of an account that the configuration names.
func (u *users) configuredToken(id UserID) error {
	if u.configured[id].token {
		return limitError("this token is the one in the server's configuration (auth.token): give the account another one there, and reload")
	}
	return nil
}

// configuredKeys refuses to rotate keys that the configuration names.
func (u *users) configuredKeys(id UserID) error {
	if u.configured[id].keys {
		return limitError("the signing keys of this account are in the server's configuration (auth.signing-key, auth.next-signing-key): change them there, and reload")
	}
	return nil
}
