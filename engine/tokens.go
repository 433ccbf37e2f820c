package engine

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Bounds of tokens. All of them are in memory, and each change copies the table.
const (
	TokensMax      = 10_000    // in all accounts together, besides those that accounts were made with
	TokenNameMax   = 256       // bytes
	TokenLimitsMax = 100       // entries of all limits of one token
	tokenYearsMax  = 100 * 366 // days until a token expires
)

const tokenPrefix = "tok_"

// TokenID is the id under which a token is listed and revoked. It tells nothing about
// the token.
func TokenID(id uint64) string {
	var out [len(tokenPrefix) + 11]byte
	copy(out[:], tokenPrefix)
	putBase58(out[len(tokenPrefix):], 0, id)
	return string(out[:])
}

// TokenSpec is a token to be made.
type TokenSpec struct {
	User   UserID
	Name   string // for people; may be empty
	Access Access
	Admin  bool          // needs full access and no limits
	Life   time.Duration // until it expires; 0: it does not
	Queues []string
	Groups []string
	Hosts  []string // a name, an address, or *.suffix
}

// TokenInfo is a token as its operator sees it.
type TokenInfo struct {
	ID      string
	User    UserID
	Name    string
	Access  Access
	Admin   bool
	First   bool // it is the one that its account was made with
	Created time.Time
	Expires time.Time // zero: never
	Queues  []string
	Groups  []string
	Hosts   []string
}

// CreateToken makes a token and returns it, once and never again, when that is on disk.
func (e *Engine) CreateToken(spec *TokenSpec) (secret string, info TokenInfo, err error) {
	if err := spec.check(); err != nil {
		return "", info, err
	}
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	owner := set.byID[spec.User]
	switch {
	case owner == nil:
		return "", info, limitError("invalid user %d: there is no such account", spec.User)
	case len(set.tokens) >= TokensMax:
		return "", info, quotaError("quota maxTokens exceeded. Maximum allowed: %d", TokensMax)
	}
	if err := e.busyWith(); err != nil {
		return "", info, err
	}
	if secret, err = NewToken(e.opts.Rand, owner.Name); err != nil {
		return "", info, err
	}
	t := spec.token(tokenHash([]byte(secret)), e.wallMillis())
	err = e.changeUsersLocked(t.Append(nil), wal.Producer, func(s *userSet, lsn uint64) error {
		t.pos = lsn
		return s.putToken(t)
	})
	if err != nil {
		return "", info, err
	}
	return secret, t.info(), nil
}

func (s *TokenSpec) token(hash [32]byte, now int64) *token {
	t := &token{Token: record.Token{
		User: uint32(s.User), Created: now, Access: uint8(s.Access), Hash: hash, Name: strings.Clone(s.Name),
		Queues: cloneStrings(s.Queues), Groups: cloneStrings(s.Groups), Hosts: cloneStrings(s.Hosts),
	}}
	if s.Admin {
		t.Flags |= record.TokenAdmin
	}
	if s.Life > 0 {
		t.Expires = now + s.Life.Milliseconds()
	}
	return t
}

// cloneStrings copies the texts too: the caller's may end with its request.
func cloneStrings(from []string) []string {
	out := slices.Clone(from)
	for i := range out {
		out[i] = strings.Clone(out[i])
	}
	return out
}

// check refuses a token that could not be meant.
func (s *TokenSpec) check() error {
	switch {
	case len(s.Name) > TokenNameMax || !printable(s.Name):
		return limitError("invalid name: it must be at most %d bytes of text without control characters", TokenNameMax)
	case int(s.Access) >= len(accessNames):
		return limitError("invalid access: it must be full, publish or read")
	case s.Life < 0 || s.Life > tokenYearsMax*24*time.Hour || s.Life > 0 && s.Life < time.Millisecond:
		return limitError("invalid expiry: a token lives for 1ms to %dd", tokenYearsMax)
	case len(s.Queues)+len(s.Groups)+len(s.Hosts) > TokenLimitsMax:
		return limitError("too many limits: a token has at most %d queues, groups and hosts together", TokenLimitsMax)
	case s.Admin && (s.Access != AccessFull || len(s.Queues)+len(s.Groups)+len(s.Hosts) > 0):
		return limitError("invalid admin: a token that manages accounts has full access and no limits")
	}
	if err := checkLimitNames("queues", s.Queues); err != nil {
		return err
	}
	if err := checkLimitNames("groups", s.Groups); err != nil {
		return err
	}
	if _, err := principalOfToken(&record.Token{Hosts: s.Hosts}, false); err != nil {
		return limitError("invalid hosts: each must be a host name, an address or *.suffix: %s", hostErrors.Replace(err.Error()))
	}
	return nil
}

// hostErrors makes one line of what is wrong with hosts, which are read as the rules of
// destinations are and come with that setting's name.
var hostErrors = strings.NewReplacer("destinations.allow ", "", "\n", "; ")

func checkLimitNames(field string, names []string) error {
	for _, n := range names {
		if n == "" || len(n) > GroupNameMax || !printable(n) {
			return limitError("invalid %s: each must be a name of 1 to %d bytes", field, GroupNameMax)
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// Tokens returns the tokens of an account, 0 for all, in the order of accounts: of each
// its first one, then the others as they were made.
func (e *Engine) Tokens(u UserID) []TokenInfo {
	set := e.users.set.Load()
	var out []TokenInfo
	for _, r := range set.byID {
		if r.TokenHash != hashNone && (u == 0 || u == UserID(r.ID)) {
			out = append(out, firstToken(r))
		}
	}
	for _, t := range set.tokens {
		if u == 0 || u == UserID(t.User) {
			out = append(out, t.info())
		}
	}
	slices.SortFunc(out, func(a, b TokenInfo) int {
		return cmp.Or(cmp.Compare(a.User, b.User), firstFirst(a.First, b.First), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func firstFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (t *token) info() TokenInfo {
	i := TokenInfo{
		ID: TokenID(t.ID()), User: UserID(t.User), Name: t.Name, Access: Access(t.Access), Admin: t.Flags&record.TokenAdmin != 0,
		Created: millisTime(t.Created), Queues: slices.Clone(t.Queues), Groups: slices.Clone(t.Groups), Hosts: slices.Clone(t.Hosts),
	}
	if t.Expires != 0 {
		i.Expires = millisTime(t.Expires)
	}
	return i
}

// firstToken is the token that an account was made with, which has its id as others do.
func firstToken(r *record.User) TokenInfo {
	return TokenInfo{
		ID: TokenID(record.TokenID(&r.TokenHash)), User: UserID(r.ID), Name: r.Name, Admin: principalOfUser(r).Admin, First: true,
		Created: millisTime(r.Created),
	}
}

var errDevToken = errors.New("the tokens of development users are published and cannot be revoked")

// RevokeToken revokes a token: no request that is authenticated after it returns is
// allowed anything by it, also after a crash. It may use the log's reserve, so that a
// full disk is no reason to leave a token that was stolen.
func (e *Engine) RevokeToken(id string) error {
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	for n, t := range set.tokens {
		if TokenID(n) == id {
			d := record.DropToken{User: t.User, ID: n}
			return e.changeUsersLocked(d.Append(nil), wal.Lazy, func(s *userSet, _ uint64) error {
				s.dropToken(n)
				return nil
			})
		}
	}
	for _, r := range set.byID {
		if r.TokenHash == hashNone || TokenID(record.TokenID(&r.TokenHash)) != id {
			continue
		}
		if r.Dev {
			return &LimitError{Text: errDevToken.Error()}
		}
		if err := e.users.configuredToken(UserID(r.ID)); err != nil {
			return err
		}
		c := *r
		c.TokenHash = hashNone
		return e.defineUserLocked(&c, wal.Lazy)
	}
	return ErrNotFound
}
