package engine

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/cron"
)

// TestExportSchedules: schedules of all accounts are exported with everything that was
// asked for, how far they have come, and what cannot be read of them.
func TestExportSchedules(t *testing.T) {
	fs, wall := vfs.NewMem(), newTestWall(testMorning)
	o := testOptions(fs, newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	mustDefine(t, e, daily("a"))
	wall.move(e, time.Hour)
	eventually(t, func() bool { return !mustSchedule(t, e, "a").Last.IsZero() })
	paused := daily("b")
	paused.Cron, paused.Message.Body, paused.Message.Header = "CRON_TZ=Europe/Berlin 0 30 2 * * *", []byte{0xFE}, nil
	paused.Time = TimeRules{Seconds: true, DST: cron.Both, Missed: MissedAll, MissedMax: 7, MissedWindow: time.Hour, Jitter: time.Minute}
	mustDefine(t, e, paused)
	if err := e.PauseSchedule(1, "b"); err != nil {
		t.Fatal(err)
	}
	other := daily("a")
	other.Message.User, other.Message.Body = 2, []byte("to be damaged")
	mustDefine(t, e, other)
	mustDefine(t, e, daily("gone"))
	if err := e.DeleteSchedule(1, "gone"); err != nil {
		t.Fatal(err)
	}
	var live bytes.Buffer
	if err := e.Export(t.Context(), &live, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	damage(t, fs, "to be damaged")
	off, err := OpenOffline(fs, "data")
	if err != nil {
		t.Fatal(err)
	}
	var stopped bytes.Buffer
	if err := off.Export(t.Context(), &stopped, ExportOptions{}); err != nil {
		t.Fatal(err)
	}

	a := `"type":"schedule","id":"a","user":1,"cron":"0 9 * * *","paused":false,"created":"2026-11-22T08:00:00Z",` +
		`"dst":"fire-once","missed":"latest","missed_max":100,"missed_window_ms":86400000,` +
		`"url":"http://a.example/x?y=1","method":"POST","headers":[["Content-Type","text/plain"],["X-A","1"]],"body":"good morning",` +
		`"caller_ip":"203.0.113.9","retries":2,"retry_delay":"1000","timeout_ms":5000,"delay_ms":90000,` +
		`"last":"2026-11-22T09:00:00Z","next":"2026-11-23T09:00:00Z"`
	b := `"type":"schedule","id":"b","user":1,"cron":"CRON_TZ=Europe/Berlin 0 30 2 * * *","paused":true,"created":"2026-11-22T09:00:00Z",` +
		`"seconds":true,"dst":"both","missed":"all","missed_max":7,"missed_window_ms":3600000,"jitter_ms":60000,` +
		`"url":"http://a.example/x?y=1","method":"POST","body_base64":"/g==",` +
		`"caller_ip":"203.0.113.9","retries":2,"retry_delay":"1000","timeout_ms":5000,"delay_ms":90000`
	whole := `"type":"schedule","id":"a","user":2,"cron":"0 9 * * *","paused":false,"created":"2026-11-22T09:00:00Z",` +
		`"dst":"fire-once","missed":"latest","missed_max":100,"missed_window_ms":86400000,` +
		`"url":"http://a.example/x?y=1","method":"POST","headers":[["Content-Type","text/plain"],["X-A","1"]],"body":"to be damaged",` +
		`"caller_ip":"203.0.113.9","retries":2,"retry_delay":"1000","timeout_ms":5000,"delay_ms":90000,"next":"2026-11-23T09:00:00Z"`
	damaged := `"type":"schedule","id":"a","user":2,"paused":false,"created":"2026-11-22T09:00:00Z","retries":0,"next":"2026-11-23T09:00:00Z","damaged":true`
	checkExport(t, "live", &live, 0, a, b, whole)
	checkExport(t, "stopped", &stopped, 1, a, b, damaged)
}

// checkExport wants these schedules in an export, which also has the message of a tick.
func checkExport(t *testing.T, name string, out *bytes.Buffer, damaged float64, want ...string) {
	t.Helper()
	var schedules []map[string]any
	for _, l := range exported(t, out) {
		switch l["type"] {
		case "schedule":
			schedules = append(schedules, l)
		case "message":
			if l["schedule"] != "a" {
				t.Errorf("%s: the message of a tick: %v", name, l)
			}
		case "end":
			if l["schedules"] != float64(len(want)) || l["messages"] != 1.0 || l["damaged"] != damaged {
				t.Errorf("%s: %v", name, l)
			}
		}
	}
	if len(schedules) != len(want) {
		t.Fatalf("%s: %d schedules: %v", name, len(schedules), schedules)
	}
	for i, s := range schedules {
		next := s["next"]
		if s["paused"] == true { // jitter is its own, by its id
			delete(s, "next")
		}
		got, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var w map[string]any
		if err := json.Unmarshal([]byte("{"+want[i]+"}"), &w); err != nil {
			t.Fatal(err)
		}
		if wanted, _ := json.Marshal(w); !bytes.Equal(got, wanted) || next == nil {
			t.Errorf("%s: next %v\n got %s\nwant %s", name, next, got, wanted)
		}
	}
}
