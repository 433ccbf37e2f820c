package index

import (
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// Group is the row of a URL group: its definition, as it stands in the log.
type Group struct {
	User    uint32
	Name    string
	Pos     uint64 // where the definition stands
	Len     uint32 // of the payload there
	Payload []byte // the record.Group
}

func decodeGroup(key, v []byte, g *Group) error {
	if len(key) < 6 || len(v) < 8 {
		return errBadValue
	}
	*g = Group{User: be.Uint32(key[1:]), Name: string(key[5:]), Pos: be.Uint64(v), Len: uint32(len(v) - 8), Payload: v[8:]}
	return nil
}

// group applies a definition.
func (a *Applier) group(lsn uint64, p []byte) error {
	var d record.Group
	if err := record.DecodeGroup(p, &d); err != nil {
		return err
	}
	a.lose(d.Old, d.OldLen)
	a.gain(lsn, uint32(len(p)))
	a.key, a.val = namedKey(a.key, kindGroup, d.User, []byte(d.Name)), append(be.AppendUint64(a.val[:0], lsn), p...)
	return a.batch.Set(a.key, a.val, nil)
}

func (a *Applier) dropGroup(p []byte) error {
	var d record.DropGroup
	if err := record.DecodeDropGroup(p, &d); err != nil {
		return err
	}
	a.lose(d.Old, d.OldLen)
	if plant.Bug("deleted-group-comes-back") {
		return nil
	}
	a.key = namedKey(a.key, kindGroup, d.User, []byte(d.Name))
	return a.batch.Delete(a.key, nil)
}

// Groups calls fn with every URL group, those of one account together and in the order
// of their names. The row and its payload are valid during the call.
func (x *Index) Groups(fn func(*Group) error) error {
	return x.scanGroups([]byte{kindGroup}, []byte{kindGroup + 1}, fn)
}

// UserGroups is Groups of one account.
func (x *Index) UserGroups(user uint32, fn func(*Group) error) error {
	lower, upper := namedRange(kindGroup, user)
	return x.scanGroups(lower, upper, fn)
}

func (x *Index) scanGroups(lower, upper []byte, fn func(*Group) error) error {
	return x.scan(lower, upper, func(k, v []byte) error {
		var g Group
		if err := decodeGroup(k, v, &g); err != nil {
			return err
		}
		return fn(&g)
	})
}

// Group returns one URL group. The payload is the caller's.
func (x *Index) Group(user uint32, name string) (g Group, ok bool, err error) {
	ok, err = x.named(kindGroup, user, name, func(k, v []byte) error {
		err := decodeGroup(k, v, &g)
		g.Payload = append([]byte(nil), g.Payload...)
		return err
	})
	return g, ok, err
}
