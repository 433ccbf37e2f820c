package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// users is what the engine knows of accounts and tokens. Readers take a snapshot;
// changes are rare, one at a time, and durable before they show.
type users struct {
	mu  sync.Mutex // held by a change, over its append
	set atomic.Pointer[userSet]
	dev atomic.Bool // development users may authenticate

	configured map[UserID]configured // what ConfigureAccount was given; guarded by mu
}

// userSet is one state of all accounts. It never changes: a change makes a copy.
type userSet struct {
	byID   map[UserID]*record.User
	tokens map[uint64]*token // besides those that a User has, by their ids
	byHash map[[32]byte]*Principal

	last    UserID // the largest number that was given to an account that is no development user
	dropped uint64 // where the newest deletion of an account stands, 0: there was none
}

// token is a token as the log has it.
type token struct {
	record.Token
	pos uint64 // where its record stands
}

// hashNone is that of a User whose token was revoked.
var hashNone [32]byte

func tokenHash(token []byte) [32]byte { return sha256.Sum256(token) }

func newUserSet() *userSet {
	return &userSet{byID: map[UserID]*record.User{}, tokens: map[uint64]*token{}, byHash: map[[32]byte]*Principal{}}
}

func (u *users) load(x *index.Index) error {
	s := newUserSet()
	err := x.Users(func(p []byte) error {
		r := new(record.User)
		if err := record.DecodeUser(p, r); err != nil {
			return err
		}
		s.putUser(r)
		return nil
	})
	if err == nil {
		err = x.Tokens(func(row index.TokenRow) error {
			t := &token{pos: row.Pos}
			if err := record.DecodeToken(row.Payload, &t.Token); err != nil {
				return err
			}
			return s.putToken(t)
		})
	}
	if err == nil {
		err = x.LastDropUser(func(row index.TokenRow) error {
			var d record.DropUser
			err := record.DecodeDropUser(row.Payload, &d)
			s.last, s.dropped = max(s.last, UserID(d.Last)), row.Pos
			return err
		})
	}
	u.set.Store(s)
	u.configured = map[UserID]configured{}
	if err != nil {
		return fmt.Errorf("load accounts: %w", err)
	}
	return nil
}

func (s *userSet) clone() *userSet {
	c := *s
	c.byID, c.tokens, c.byHash = maps.Clone(s.byID), maps.Clone(s.tokens), maps.Clone(s.byHash)
	return &c
}

// putUser makes r the newest state of its account.
func (s *userSet) putUser(r *record.User) {
	id := UserID(r.ID)
	if old := s.byID[id]; old != nil {
		delete(s.byHash, old.TokenHash)
	}
	s.byID[id] = r
	if r.TokenHash != hashNone {
		s.byHash[r.TokenHash] = principalOfUser(r)
	}
	if !r.Dev {
		s.last = max(s.last, id)
	}
}

// putToken adds a token. One whose account is not there is left out.
func (s *userSet) putToken(t *token) error {
	owner := s.byID[UserID(t.User)]
	if owner == nil {
		return nil
	}
	p, err := principalOfToken(&t.Token, owner.Dev)
	if err != nil {
		return fmt.Errorf("token %s: %w", TokenID(t.ID()), err)
	}
	s.tokens[t.ID()], s.byHash[t.Hash] = t, p
	return nil
}

func (s *userSet) dropToken(id uint64) {
	if t := s.tokens[id]; t != nil {
		delete(s.byHash, t.Hash)
		delete(s.tokens, id)
	}
}

func (s *userSet) dropUser(u UserID) {
	delete(s.byHash, s.byID[u].TokenHash)
	delete(s.byID, u)
	for id, t := range s.tokens {
		if UserID(t.User) == u {
			s.dropToken(id)
		}
	}
}

// signing returns the key that an account's deliveries are signed with.
func (u *users) signing(id UserID) (string, bool) {
	r := u.set.Load().byID[id]
	if r == nil {
		return "", false
	}
	return r.Current, true
}

// AcceptDev lets the published development users authenticate. They never do
// otherwise, whatever the data directory holds.
func (e *Engine) AcceptDev(ok bool) { e.users.dev.Store(ok) }

// AccountInfo is an account as its operator sees it.
type AccountInfo struct {
	ID      UserID
	Name    string
	Dev     bool
	Created time.Time
}

// Accounts returns the accounts in order of their ids.
func (e *Engine) Accounts() []AccountInfo {
	var out []AccountInfo
	for _, r := range e.users.set.Load().byID {
		out = append(out, AccountInfo{ID: UserID(r.ID), Name: r.Name, Dev: r.Dev, Created: millisTime(r.Created)})
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
		err := e.defineUserLocked(&record.User{
			ID: uint32(a.ID), Created: e.wallMillis(), Dev: a.Dev, TokenHash: tokenHash([]byte(a.Token)),
			Name: a.Name, Current: a.Current, Next: a.Next,
		}, wal.Producer)
		if err != nil {
			return fmt.Errorf("define account %d: %w", a.ID, err)
		}
	}
	return nil
}

// defineUserLocked makes r the newest state of its account and returns when that is on
// disk.
func (e *Engine) defineUserLocked(r *record.User, class wal.Class) error {
	return e.changeUsersLocked(r.Append(nil), class, func(s *userSet, _ uint64) error {
		s.putUser(r)
		return nil
	})
}

// changeUsersLocked logs p, and once it is durable lets everybody see the set with the
// change that it makes.
func (e *Engine) changeUsersLocked(p []byte, class wal.Class, change func(s *userSet, lsn uint64) error) error {
	lsn, err := e.appendDefinition(p, class)
	if err != nil {
		return err
	}
	s := e.users.set.Load().clone()
	err = change(s, lsn)
	e.users.set.Store(s)
	return err
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
	if err := e.users.configuredKeys(u); err != nil {
		return Keys{}, err
	}
	next, err := NewSigningKey(e.opts.Rand)
	if err != nil {
		return Keys{}, err
	}
	r := *old
	r.Current, r.Next = old.Next, next
	if err := e.defineUserLocked(&r, wal.Producer); err != nil {
		return Keys{}, err
	}
	return Keys{Current: r.Current, Next: r.Next}, nil
}

const (
	signingKeyDigits = 28 // behind the prefix (QSTASH.md §0.2)
	passwordDigits   = 32 // 187 bits (P44)
)

// NewSigningKey draws a signing key: "sig_" and 28 base-58 digits.
func NewSigningKey(rand io.Reader) (string, error) {
	digits, err := drawDigits(rand, signingKeyDigits)
	return "sig_" + digits, err
}

// NewToken draws a token of the form that workflow clients take apart (QSTASH.md §1.2).
func NewToken(rand io.Reader, user string) (string, error) {
	password, err := drawDigits(rand, passwordDigits)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(struct{ UserID, Password string }{user, password})
	return base64.StdEncoding.EncodeToString(b), err
}

// drawDigits draws n base-58 digits, each as likely as every other: bytes that would
// favour the first ones are thrown away.
func drawDigits(rand io.Reader, n int) (string, error) {
	out := make([]byte, 0, n)
	for b := [1]byte{}; len(out) < n; {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("draw a secret: %w", err)
		}
		if int(b[0]) < 256-256%len(alphabet) {
			out = append(out, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(out), nil
}
