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

// TestInspectLines: what a tool shows of queues, keys, groups and of records that publish
// several messages.
func TestInspectLines(t *testing.T) {
	message := record.Message{
		User: 1, Nonce: 7, Due: 2000, Created: 2000, QueueName: "q", FlowKey: "k",
		Line: record.Line{Queue: record.QueueID(1, "q"), Flow: record.FlowID(1, "k")},
	}
	labeled := record.Message{User: 1, Nonce: 7, Due: 2000, Created: 2000, Labels: []string{"b", "a"}, Redact: record.Redact{Body: true}}
	callback := record.Message{Flags: record.FlagReport, User: 1, Nonce: 8}
	for want, p := range map[string][]byte{
		"message " + MessageID(512, 7) + ` in queue "q" with key "k" user 1 due 1970-01-01T00:00:02Z`: message.Append(nil),
		"message " + MessageID(512, 7) + ` labeled "b,a" user 1 due 1970-01-01T00:00:02Z redacted`:    labeled.Append(nil),
		"fanout " + MessageID(512, 3) + " " + MessageID(513, 4) + ` in queue "q" with key "k" user 1 due 1970-01-01T00:00:02Z`: (&record.Fanout{
			Message: message.Append(nil), Members: []record.Member{{Nonce: 3}, {Nonce: 4}},
		}).Append(nil),
		"outcome " + MessageID(5, 7) + " delivered user 1 attempt 1 status 200 calls " + MessageID(513, 8): (&record.Outcome{
			Row: record.Row{User: 1, Seq: 5, Nonce: 7}, Kind: record.Delivered, Attempt: 1, Status: 200,
			Callbacks: [][]byte{callback.Append(nil)}, Source: message.Append(nil),
		}).Append(nil),
		`queue in queue "q" user 1 paused deleted`: (&record.Queue{User: 1, Name: "q", Flags: record.QueuePaused | record.QueueGone}).Append(nil),
		`flow with key "k" user 1 paused pinned parallelism and rate`: (&record.Flow{
			User: 1, Key: "k", Flags: record.FlowPaused | record.FlowPinnedParallelism | record.FlowPinnedRate,
		}).Append(nil),
		`group "g" user 1`:                  (&record.Group{User: 1, Name: "g"}).Append(nil),
		`job done "rpl_11111111118" user 1`: (&record.Job{User: 1, ID: 7, State: record.JobDone, URL: "http://a.example/"}).Append(nil),
		`drop-group "g" user 1`:             (&record.DropGroup{User: 1, Name: "g"}).Append(nil),
	} {
		info := InspectRecord(512, p)
		if got := info.String(); got != want {
			t.Errorf("it reads %s\nwant     %s", got, want)
		}
		if info := InspectRecord(512, p[:len(p)/2]); info.Error == "" || info.Type == "unknown" {
			t.Errorf("half of %s reads %s", want, info)
		}
	}
}

// TestInspectPulls: what a tool shows of the records of pull queues, none of it a secret.
func TestInspectPulls(t *testing.T) {
	m := record.Message{User: 1, Nonce: 7, Due: 2000, Created: 2000, Flags: record.FlagPull, PullName: "orders"}
	o := record.Outcome{
		Row: record.Row{User: 1, Nonce: 7, Seq: 512}, Kind: record.Retry, Attempt: 1, Next: 3000,
		Step: record.PullStep{Op: record.PullReceive, Next: record.Pull{Published: 1, Lease: 9}},
	}
	q := record.PullQueue{User: 1, ID: 5, Name: "orders", Secret: "hush", Flags: record.PullPaused | record.PullGone}
	for want, p := range map[string][]byte{
		"message " + MessageID(512, 7) + ` in pull queue "orders" user 1 due 1970-01-01T00:00:02Z`:     m.Append(nil),
		"outcome " + MessageID(512, 7) + ` retry by receive user 1 attempt 1 due 1970-01-01T00:00:03Z`: o.Append(nil),
		`pull-queue in pull queue "orders" user 1 paused deleted`:                                      q.Append(nil),
	} {
		if got := InspectRecord(512, p).String(); got != want {
			t.Errorf("it reads %s\nwant     %s", got, want)
		}
	}
}
