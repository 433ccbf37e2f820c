package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Bounds of accounts. All of them are in memory, and each change copies the table.
const (
	UsersMax    = 10_000
	UserNameMax = 128 // bytes
)

// ownerUser is the account that serve makes at its first start. It stays.
const ownerUser UserID = 1

// ErrInUse: an account that still has something cannot be deleted. The error it comes in
// says what.
var ErrInUse = errors.New("the account is in use")

// NewAccount is what CreateUser made. The token is told once and never again.
type NewAccount struct {
	AccountInfo
	Token string
	Keys
}

// CreateUser makes an account with a token of full access and two signing keys, and
// returns when it is on disk. Its number was never given to another one.
func (e *Engine) CreateUser(name string) (*NewAccount, error) {
	if name == "" || len(name) > UserNameMax || !printable(name) {
		return nil, limitError("invalid name: it must be 1 to %d bytes of text without control characters", UserNameMax)
	}
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	if len(set.byID) >= UsersMax {
		return nil, quotaError("quota maxUsers exceeded. Maximum allowed: %d", UsersMax)
	}
	for _, r := range set.byID {
		if r.Name == name {
			return nil, limitError("invalid name: account %d has it", r.ID)
		}
	}
	if set.last+1 >= ownerDigits {
		return nil, quotaError("there are no numbers left for accounts")
	}
	if err := e.busyWith(); err != nil {
		return nil, err
	}
	a, err := e.drawAccount(set.last+1, name)
	if err != nil {
		return nil, err
	}
	r := &record.User{
		ID: uint32(a.ID), Created: e.wallMillis(), TokenHash: tokenHash([]byte(a.Token)), Name: strings.Clone(name), Current: a.Current, Next: a.Next,
	}
	a.Created = millisTime(r.Created)
	return a, e.defineUserLocked(r, wal.Producer)
}

func (e *Engine) drawAccount(id UserID, name string) (*NewAccount, error) {
	a := &NewAccount{AccountInfo: AccountInfo{ID: id, Name: name}}
	var errs [3]error
	a.Token, errs[0] = NewToken(e.opts.Rand, name)
	a.Current, errs[1] = NewSigningKey(e.opts.Rand)
	a.Next, errs[2] = NewSigningKey(e.opts.Rand)
	return a, errors.Join(errs[:]...)
}

// DeleteUser deletes an account with its tokens and keys and returns when that is on
// disk. It is refused, and changes nothing, while the account has anything that it could
// lose: messages, dead letters, schedules, queues of either API, URL groups, pinned or
// paused flow-control keys. Its history ends with its retention, seen by nobody.
//
// A request that was authenticated before may still be under way. What it adds is never
// delivered: attempts need the account's keys.
func (e *Engine) DeleteUser(id UserID) error {
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	r := set.byID[id]
	switch {
	case r == nil:
		return ErrNotFound
	case r.Dev:
		return limitError("invalid user %d: the development users stay", id)
	case id == ownerUser:
		return limitError("invalid user %d: the first account is the server's own and stays; its tokens can be revoked", id)
	}
	has, err := e.has(id)
	if err != nil {
		return err
	}
	if len(has) > 0 {
		return fmt.Errorf("%w: account %d still has %s; nothing was deleted", ErrInUse, id, strings.Join(has, ", "))
	}
	d := record.DropUser{User: uint32(id), Last: uint32(set.last)}
	return e.changeUsersLocked(d.Append(nil), wal.Lazy, func(s *userSet, lsn uint64) error {
		s.dropUser(id)
		s.dropped = lsn
		return nil
	})
}

// errFound ends a walk that has found what it looked for.
var errFound = errors.New("found")

// has says what an account has. It looks at the index alone, and at every pending
// message of all accounts if this one has none.
func (e *Engine) has(id UserID) (what []string, err error) {
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	u, x := uint32(id), e.idx
	for _, part := range []struct {
		name string
		walk func() error
	}{
		{"messages that are pending", func() error {
			return x.Pending(func(r *record.Row) error { return foundIf(r.User == u) })
		}},
		{"dead letters", func() error {
			return x.DeadLetters(u, 0, false, func(*index.Dead) (bool, error) { return false, errFound })
		}},
		{"schedules", func() error {
			return x.UserSchedules(u, func(*index.Schedule) error { return errFound })
		}},
		{"queues", func() error {
			return x.Queues(func(q *index.Queue) error { return foundIf(q.User == u) })
		}},
		{"pull queues", func() error {
			return x.PullQueues(func(q *index.PullQueue) error { return foundIf(q.User == u) })
		}},
		{"URL groups", func() error {
			return x.UserGroups(u, func(*index.Group) error { return errFound })
		}},
		{"flow-control keys that are pinned or paused", func() error {
			return x.UserFlows(u, func(f *index.Flow) error { return foundIf(f.Flags != 0) })
		}},
		{"replays that are running", func() error { return foundIf(e.replays.runs(id)) }},
	} {
		switch err := part.walk(); {
		case errors.Is(err, errFound):
			what = append(what, part.name)
		case err != nil:
			return nil, indexError(err)
		}
	}
	return what, nil
}

func foundIf(found bool) error {
	if found {
		return errFound
	}
	return nil
}
