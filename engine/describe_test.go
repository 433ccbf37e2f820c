package engine

import (
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// TestInspectSchedules: what a tool shows of the records of a schedule.
func TestInspectSchedules(t *testing.T) {
	template := (&record.Message{URL: "http://a.example/"}).Append(nil)
	ticks := record.Ticks{Last: 3000, Next: 4000}
	message := record.Message{
		User: 1, URL: "http://a.example/", Nonce: 7, Due: 2002, Created: 2001, Flags: record.FlagTick,
		Schedule: "s", Tick: record.ScheduleTick{Time: 2000, Next: 3000},
	}
	for want, p := range map[string][]byte{
		`schedule of schedule "s" "* * * * *" user 1 tick 1970-01-01T00:00:03Z`: (&record.Schedule{
			User: 1, ID: "s", Cron: "* * * * *", Ticks: ticks, Message: template,
		}).Append(nil),
		`schedule of schedule "s" "@daily" user 1 tick 1970-01-01T00:00:03Z paused`: (&record.Schedule{
			User: 1, ID: "s", Cron: "@daily", Flags: record.FlagPaused, Ticks: ticks, Message: template,
		}).Append(nil),
		`tick of schedule "s" user 1 tick 1970-01-01T00:00:03Z missed 2 since 1970-01-01T00:00:02Z`: (&record.Tick{
			User: 1, ID: "s", At: 20_000, Ticks: ticks, From: 2000, To: 3000, Count: 2, Error: "missed",
		}).Append(nil),
		`drop-schedule of schedule "s" user 1`: (&record.DropSchedule{User: 1, ID: "s"}).Append(nil),
		"message " + MessageID(512, 7) + ` of schedule "s" user 1 due 1970-01-01T00:00:02.002Z tick 1970-01-01T00:00:02Z`: message.Append(nil),
	} {
		info := InspectRecord(512, p)
		if got := info.String(); got != want {
			t.Errorf("it reads %s\nwant     %s", got, want)
		}
	}
}

// TestInspectGroups: what a tool shows of the records of a URL group.
func TestInspectGroups(t *testing.T) {
	members := []record.Member{{Nonce: 7, URL: "http://a.example/"}, {Nonce: 8, URL: "http://b.example/", Endpoint: "b"}}
	shared := record.Message{
		User: 1, Topic: "g", Due: 2002, Created: 2001, Flags: record.FlagTick,
		Schedule: "s", Tick: record.ScheduleTick{Time: 2000, Next: 3000},
	}
	for want, p := range map[string][]byte{
		`group "g" user 1 members 1 from 2:8`: (&record.Group{
			User: 1, Name: "g", Endpoints: []record.Endpoint{{URL: "http://a.example/"}}, Old: 2<<32 | 8,
		}).Append(nil),
		`drop-group "g" user 1`: (&record.DropGroup{User: 1, Name: "g"}).Append(nil),
		"fan-out " + MessageID(512, 7) + ` of schedule "s" user 1 due 1970-01-01T00:00:02.002Z tick 1970-01-01T00:00:02Z members 2`: (&record.Fanout{
			Members: members, Message: shared.Append(nil),
		}).Append(nil),
	} {
		info := InspectRecord(512, p)
		if got := info.String(); got != want {
			t.Errorf("it reads %s\nwant     %s", got, want)
		}
	}
}
