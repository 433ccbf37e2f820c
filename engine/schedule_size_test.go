package engine

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// TestLargestScheduleFits (W9): a definition of the greatest length, and what its ticks
// publish, take no more than the smallest segment is made for.
func TestLargestScheduleFits(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.MessageMax, o.ResponseMax = 64<<10, 64<<10
	e := open(t, o)
	s := daily(strings.Repeat("i", ScheduleIDMax))
	s.Cron = "0 9" + strings.Repeat(",9", 120) + " * * *"
	s.Message.Body = incompressible(64 << 10)
	s.Message.DedupID = "once"
	s.Message.Header = []Header{{Name: "X"}}
	s.Message.Header[0].Value = strings.Repeat("v", metaMax-4096-metaSize(&s.Message))
	d, err := e.buildSchedule(s)
	if err != nil {
		t.Fatal(err)
	}
	room := o.MessageMax + metaMax
	if d.Size() > room {
		t.Errorf("the definition takes %d bytes, there are %d", d.Size(), room)
	}
	var m record.Message
	if err := record.DecodeMessage(d.Message, &m); err != nil {
		t.Fatal(err)
	}
	m.Flags, m.Schedule, m.Tick = m.Flags|record.FlagTick, d.ID, record.ScheduleTick{Time: 1}
	if m.Size() > room || m.Size() < room-8192 {
		t.Errorf("the message of a tick takes %d bytes, there are %d", m.Size(), room)
	}
}
