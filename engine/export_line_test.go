package engine

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestExportGroups: groups, and what goes to them, by names and not by what the log keeps.
func TestExportGroups(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.Wall = wall.now
	e := openGroup(t, o, "first=a", "b")
	if err := e.SetGroupHeader(1, "g", []Header{{Name: "Upstash-Retries", Value: "1"}}); err != nil {
		t.Fatal(err)
	}
	p := Publish{
		User: 1, Group: "g", Delay: time.Hour, Queue: "q", Ordering: "o", Flow: FlowControl{Key: "k", Rate: 3, Sliding: true},
		Callback: &Callback{URL: "http://callback.example/", Header: []Header{{Name: "X", Value: "1"}}}, Failure: &Callback{URL: "http://failure.example/"},
	}
	publishGroup(t, e, p)
	mustDefine(t, e, &Schedule{ID: "s", Cron: "@daily", Message: p})
	var b bytes.Buffer
	if err := e.Export(t.Context(), &b, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	lines := exported(t, &b)
	if len(lines) != 7 {
		t.Fatalf("%v", lines)
	}
	const (
		callback = `"callback":{"headers":[["Content-Type","application/json"],["X","1"]],"url":"http://callback.example/"},`
		rest     = `"failure_callback":{"headers":[["Content-Type","application/json"]],"url":"http://failure.example/"},` +
			`"flow_control":{"key":"k","period_ms":1000,"rate":3,"sliding":true},"ordering_key":"o","queue":"q","topic":"g"}`
	)
	keys := []string{"topic", "endpoint", "queue", "ordering_key", "flow_control", "callback", "failure_callback"}
	for i, want := range map[int]string{
		2: `{` + callback + `"endpoint":"first",` + rest, 3: `{` + callback + rest, 4: `{` + callback + rest,
	} {
		got := map[string]any{}
		for _, k := range keys {
			if v := lines[i][k]; v != nil {
				got[k] = v
			}
		}
		if text, _ := json.Marshal(got); string(text) != want {
			t.Errorf("line %d, a %s: %s\nwant %s", i, lines[i]["type"], text, want)
		}
	}
	want := `{"created":"2026-11-22T08:00:00Z","endpoints":[{"name":"first","url":"http://a.example/"},{"url":"http://b.example/"}],` +
		`"headers":[["Upstash-Retries","1"]],"name":"g","type":"group","updated":"2026-11-22T08:00:00Z","user":1}`
	if text, _ := json.Marshal(lines[5]); string(text) != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	if end := lines[6]; end["groups"] != 1.0 || end["messages"] != 2.0 || end["schedules"] != 1.0 {
		t.Errorf("%v", end)
	}
}
