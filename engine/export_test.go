package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// TestExport: what goes in comes out, text as text and bytes as base 64, of an
// engine that runs and of its directory.
func TestExport(t *testing.T) {
	fs, w := vfs.NewMem(), newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) {
		*r = dispatch.Result{Status: 500, Body: []byte("\xff answer")}
	}
	o := testOptions(fs, w)
	e := open(t, o)
	id := publish(t, e, Publish{Delay: time.Hour, Body: []byte("\x00\xfe"), Header: []Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}}})
	dead := publish(t, e, Publish{Retries: 0, Body: []byte("text")})
	eventually(t, func() bool { d, _, _ := e.DeadLetters(DeadLetterQuery{User: 1}); return len(d) == 1 })

	var live, stopped bytes.Buffer
	if err := e.Export(t.Context(), &live, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	off, err := OpenOffline(fs, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := off.Export(t.Context(), &stopped, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*bytes.Buffer{"live": &live, "stopped": &stopped} {
		lines := exported(t, b)
		if len(lines) != 5 {
			t.Fatalf("%s: %v", name, lines)
		}
		if a := lines[1]; a["type"] != "account" || a["name"] != "one" || a["token_sha256"] != nil || a["current_signing_key"] != nil {
			t.Errorf("%s: %v", name, a)
		}
		m := lines[2]
		if headers, _ := json.Marshal(m["headers"]); m["id"] != id || m["body"] != nil || m["body_base64"] != "AP4=" || string(headers) != `[["X-A","1"],["X-A","2"]]` {
			t.Errorf("%s: %v", name, m)
		}
		d := lines[3]
		if d["type"] != "dead_letter" || d["message"] != dead || d["body"] != "text" || d["response_body_base64"] != "/yBhbnN3ZXI=" || d["response_status"] != 500.0 {
			t.Errorf("%s: %v", name, d)
		}
		if end := lines[4]; end["type"] != "end" || end["messages"] != 1.0 || end["dead_letters"] != 1.0 || end["damaged"] != 0.0 {
			t.Errorf("%s: %v", name, end)
		}
	}
	w.reply = nil
	e = open(t, o) // the export has left a directory that a server opens
	if m, err := e.Message(1, id); err != nil || string(m.Body) != "\x00\xfe" {
		t.Errorf("after the export: %v, %v", m, err)
	}
}

func exported(t *testing.T, b *bytes.Buffer) (lines []map[string]any) {
	t.Helper()
	for s := bufio.NewScanner(b); s.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		lines = append(lines, m)
	}
	return lines
}
