package index

import "github.com/tidemill/tidemill/engine/record"

// TokenRow is the row of a token, or that of the newest deletion of an account: the
// record and where it stands in the log.
type TokenRow struct {
	Pos     uint64
	Payload []byte // a record.Token, or a record.DropUser
}

// tokenKey begins with the account, so that its tokens end with it.
func tokenKey(dst []byte, user uint32, id uint64) []byte {
	return be.AppendUint64(be.AppendUint32(append(dst[:0], kindToken), user), id)
}

func (a *Applier) token(lsn uint64, p []byte) error {
	var t record.Token
	if err := record.DecodeToken(p, &t); err != nil {
		return err
	}
	a.key = tokenKey(a.key, t.User, t.ID())
	a.val = append(be.AppendUint64(a.val[:0], lsn), p...)
	return a.batch.Set(a.key, a.val, nil)
}

func (a *Applier) dropToken(p []byte) error {
	var d record.DropToken
	if err := record.DecodeDropToken(p, &d); err != nil {
		return err
	}
	a.key = tokenKey(a.key, d.User, d.ID)
	return a.batch.Delete(a.key, nil)
}

// dropUser takes away an account and its tokens, and notes the largest number given.
func (a *Applier) dropUser(lsn uint64, p []byte) error {
	var d record.DropUser
	if err := record.DecodeDropUser(p, &d); err != nil {
		return err
	}
	if d.User != 0 {
		a.key = userKey(a.key, d.User)
		if err := a.batch.Delete(a.key, nil); err != nil {
			return err
		}
		lower, upper := namedRange(kindToken, d.User)
		if err := a.deleteRange(lower, upper); err != nil {
			return err
		}
	}
	a.val = append(be.AppendUint64(a.val[:0], lsn), p...)
	return a.batch.Set([]byte{kindLastUser}, a.val, nil)
}

// Tokens calls fn with every token, those of one account together. The row is valid
// during the call.
func (x *Index) Tokens(fn func(TokenRow) error) error {
	return x.tokenRows(kindToken, fn)
}

// LastDropUser calls fn with the newest deletion of an account, if there was one.
func (x *Index) LastDropUser(fn func(TokenRow) error) error {
	return x.tokenRows(kindLastUser, fn)
}

func (x *Index) tokenRows(kind byte, fn func(TokenRow) error) error {
	return x.scan([]byte{kind}, []byte{kind + 1}, func(_, v []byte) error {
		if len(v) < 8 {
			return errBadValue
		}
		return fn(TokenRow{Pos: be.Uint64(v), Payload: v[8:]})
	})
}
