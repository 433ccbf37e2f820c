package engine

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// users is what the engine knows of accounts. Readers take a snapshot; changes
// are rare, one at a time, and durable before they show.
type users struct {
	mu  sync.Mutex // held by a change, over its append
	set atomic.Pointer[userSet]
	dev atomic.Bool // development users may authenticate
}

type userSet struct {
	byID    map[UserID]*record.User
	byToken map[[32]byte]*record.User
}

func (u *users) load(x *index.Index) error {
	s := &userSet{byID: map[UserID]*record.User{}, byToken: map[[32]byte]*record.User{}}
	err := x.Users(func(p []byte) error {
		r := new(record.User)
		if err := record.DecodeUser(p, r); err != nil {
			return err
		}
		s.byID[UserID(r.ID)] = r
		s.byToken[r.TokenHash] = r
		return nil
	})
	u.set.Store(s)
	if err != nil {
		return fmt.Errorf("load accounts: %w", err)
	}
	return nil
}

// with returns a copy of the set in which r is the newest state of its account.
func (s *userSet) with(r *record.User) *userSet {
	n := &userSet{byID: maps.Clone(s.byID), byToken: maps.Clone(s.byToken)}
	if old := n.byID[UserID(r.ID)]; old != nil {
		delete(n.byToken, old.TokenHash)
	}
	n.byID[UserID(r.ID)] = r
	n.byToken[r.TokenHash] = r
	return n
}

// signing returns the key that an account's deliveries are signed with.
func (u *users) signing(id UserID) (string, bool) {
	r := u.set.Load().byID[id]
	if r == nil {
		return "", false
	}
	return r.Current, true
}

// Authenticate returns the account of a bearer token. Only the token's hash is
// kept, and it is found by that hash, so no comparison's duration tells
// anything about a token (P44).
func (e *Engine) Authenticate(token []byte) (UserID, bool) {
	r := e.users.set.Load().byToken[sha256.Sum256(token)]
	if r == nil || r.Dev && !e.users.dev.Load() {
		return 0, false
	}
	return UserID(r.ID), true
}

// AcceptDev lets the published development users authenticate. They never do
// otherwise, whatever the data directory holds.
func (e *Engine) AcceptDev(ok bool) { e.users.dev.Store(ok) }

// AccountInfo is an account as the composition root sees it.
type AccountInfo struct {
	ID   UserID
	Name string
	Dev  bool
}

// Accounts returns the accounts in order of their ids.
func (e *Engine) Accounts() []AccountInfo {
	var out []AccountInfo
	for _, r := range e.users.set.Load().byID {
		out = append(out, AccountInfo{ID: UserID(r.ID), Name: r.Name, Dev: r.Dev})
	}
	slices.SortFunc(out, func(a, b AccountInfo) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Bootstrap defines the accounts that do not exist yet; those that do are left
// as they are. They are durable when it returns.
func (e *Engine) Bootstrap(accounts []Account) error {
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	for i := range accounts {
		a := &accounts[i]
		if e.users.set.Load().byID[a.ID] != nil {
			continue
		}
		err := e.defineLocked(&record.User{
			ID: uint32(a.ID), Created: e.wallMillis(), Dev: a.Dev, TokenHash: sha256.Sum256([]byte(a.Token)),
			Name: a.Name, Current: a.Current, Next: a.Next,
		})
		if err != nil {
			return fmt.Errorf("define account %d: %w", a.ID, err)
		}
	}
	return nil
}

func (e *Engine) defineLocked(r *record.User) error {
	lsn, err := e.log.Append(r.Append(nil))
	if lsn == 0 {
		return refusal(err)
	}
	if errors.Is(err, wal.ErrStalled) {
		// Memory must say what the log says, so this waits for as long as the disk takes.
		err = e.log.Commit()
	}
	if err != nil {
		return logError(err)
	}
	e.users.set.Store(e.users.set.Load().with(r))
	return nil
}

// Keys returns an account's signing keys.
func (e *Engine) Keys(u UserID) (Keys, error) {
	r := e.users.set.Load().byID[u]
	if r == nil {
		return Keys{}, ErrNotFound
	}
	return Keys{Current: r.Current, Next: r.Next}, nil
}

// RotateKeys makes next the current key and draws a new next one. It is one
// record: a crash leaves both keys or neither.
func (e *Engine) RotateKeys(u UserID) (Keys, error) {
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	old := e.users.set.Load().byID[u]
	if old == nil {
		return Keys{}, ErrNotFound
	}
	next, err := NewSigningKey(e.opts.Rand)
	if err != nil {
		return Keys{}, err
	}
	r := *old
	r.Current, r.Next = old.Next, next
	if err := e.defineLocked(&r); err != nil {
		return Keys{}, err
	}
	return Keys{Current: r.Current, Next: r.Next}, nil
}

// signingKeyDigits is the length of a signing key behind its prefix (QSTASH.md §0.2).
const signingKeyDigits = 28

// NewSigningKey draws a signing key: "sig_" and 28 base-58 digits.
func NewSigningKey(rand io.Reader) (string, error) {
	var out bytes.Buffer
	out.WriteString("sig_")
	for b := [1]byte{}; out.Len() < len("sig_")+signingKeyDigits; {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("draw a signing key: %w", err)
		}
		if b[0] < 232 { // 4·58: every digit is as likely as every other
			out.WriteByte(alphabet[b[0]%58])
		}
	}
	return out.String(), nil
}
