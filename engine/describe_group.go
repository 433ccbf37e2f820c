package engine

import (
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

func (i *RecordInfo) group(p []byte) error {
	i.Type = "group"
	var g record.Group
	if err := record.DecodeGroup(p, &g); err != nil {
		return err
	}
	i.User, i.Name, i.At, i.Members = g.User, g.Name, utc(g.Updated), len(g.Endpoints)
	if g.Old != 0 {
		i.Old = wal.LSN(g.Old).String()
	}
	return nil
}

func (i *RecordInfo) dropGroup(p []byte) error {
	i.Type = "drop-group"
	var d record.DropGroup
	if err := record.DecodeDropGroup(p, &d); err != nil {
		return err
	}
	i.User, i.Name = d.User, d.Name
	return nil
}

func (i *RecordInfo) fanout(lsn wal.LSN, p []byte) error {
	i.Type = "fan-out"
	h, err := record.EachMember(p, func(n int, m *record.MemberHead) error {
		if n == 0 {
			i.Message = MessageID(uint64(lsn), m.Nonce)
		}
		i.Members++
		return nil
	})
	if err != nil {
		return err
	}
	i.User, i.Due, i.At = h.User(), utc(h.Due()), utc(h.Created())
	id, k, ok, err := h.Tick()
	if ok && err == nil {
		i.Schedule, i.Tick = string(id), utc(k.Time)
	}
	return err
}
