package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var testColumns = []Column{
	Text("NAME", "name"), Number("LAG", "lag"), YesNo("PAUSED", "paused"), Words("LABELS", "labels"), Text("STATE", "state").Colored(),
}

var testRows = []string{
	`{"name": "orders", "lag":12,"paused":true,"labels":["a","b"],"state":"FAILED"}`,
	`{"name":"日本","lag":3,"body":"\u001b[2J"}`,
	`{"name":"a\u001b[2J\nb\u202e","state":"x"}`,
}

// TestList: the three formats of a list. JSON is the server's own; a table is aligned, and what
// somebody wrote into a message cannot move the cursor.
func TestList(t *testing.T) {
	const table = `NAME      LAG  PAUSED  LABELS  STATE
orders     12  yes     a, b    FAILED
日本        3  no
a�[2J b�    0  no              x
`
	for format, want := range map[string]string{
		FormatTable:  table,
		FormatJSON:   "[" + strings.Join(testRows, ",\n") + "]\n",
		FormatNDJSON: `{"name":"orders","lag":12,"paused":true,"labels":["a","b"],"state":"FAILED"}` + "\n" + testRows[1] + "\n" + testRows[2] + "\n",
	} {
		var b bytes.Buffer
		l := NewOutput(&b, format, nil).List(testColumns...)
		for _, row := range testRows {
			if err := l.Add(json.RawMessage(row)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil || b.String() != want {
			t.Errorf("%s (%v):\n%swant\n%s", format, err, b.String(), want)
		}
	}
}

// TestListEmpty: what a list without elements prints, and one that breaks off.
func TestListEmpty(t *testing.T) {
	for format, want := range map[string][2]string{
		FormatTable: {"NAME  LAG  PAUSED  LABELS  STATE\n", "NAME  LAG  PAUSED  LABELS  STATE\nq       0  no\n"},
		FormatJSON:  {"[]\n", "[{\"name\":\"q\"}\n"}, FormatNDJSON: {"", "{\"name\":\"q\"}\n"},
	} {
		var whole, part bytes.Buffer
		if err := NewOutput(&whole, format, nil).List(testColumns...).Close(); err != nil || whole.String() != want[0] {
			t.Errorf("%s, empty: %q (%v), want %q", format, whole.String(), err, want[0])
		}
		l := NewOutput(&part, format, nil).List(testColumns...)
		if err := l.Add(json.RawMessage(`{"name":"q"}`)); err != nil {
			t.Fatal(err)
		}
		if l.Abandon(); part.String() != want[1] {
			t.Errorf("%s, abandoned: %q, want %q", format, part.String(), want[1])
		}
	}
}

// TestListLong: a table prints every hundred rows, with widths that only grow, so that a list of
// any length is not held in memory.
func TestListLong(t *testing.T) {
	var b bytes.Buffer
	l := NewOutput(&b, FormatTable, nil).List(Text("NAME", "name"), Text("X", "x"))
	for i := range 2*chunk + 1 {
		name := "a"
		if i == chunk {
			name = "longer"
		}
		if err := l.Add(json.RawMessage(fmt.Sprintf(`{"name":%q,"x":"b"}`, name))); err != nil {
			t.Fatal(err)
		}
		if len(l.table.rows) >= chunk {
			t.Fatalf("%d rows are held", len(l.table.rows))
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 2*chunk+2 || lines[1] != "a     b" || lines[chunk+1] != "longer  b" || lines[2*chunk+1] != "a       b" {
		t.Errorf("%d lines, %q %q %q", len(lines), lines[1], lines[chunk+1], lines[2*chunk+1])
	}
}

// TestTerminal: on a terminal lines fit, and states have colours.
func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	l := (&Output{format: FormatTable, w: &b, width: 30, color: true}).List(Text("ID", "id"), Text("URL", "url"), Text("STATE", "state").Colored())
	row := `{"id":"1","url":"http://example.com/` + strings.Repeat("x", 50) + `","state":"FAILED"}`
	if err := l.Add(json.RawMessage(row)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := bold + "ID" + plain + "  " + bold + "URL               " + plain + "  " + bold + "STATE" + plain + "\n" +
		"1   http://example.co…  " + red + "FAILED" + plain + "\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestOne(t *testing.T) {
	const object = `{"name":"q", "lag":0,"body":"a\nb"}`
	for format, want := range map[string]string{
		FormatTable: "name    q\nlag     0\nbody    a b\n", FormatJSON: object + "\n", FormatNDJSON: `{"name":"q","lag":0,"body":"a\nb"}` + "\n",
	} {
		var b bytes.Buffer
		err := NewOutput(&b, format, nil).One(json.RawMessage(object), Text("name", "name"), Number("lag", "lag"), Text("labels", "labels"), Text("body", "body"))
		if err != nil || b.String() != want {
			t.Errorf("%s: %q (%v), want %q", format, b.String(), err, want)
		}
	}
	var b bytes.Buffer
	if err := NewOutput(&b, FormatTable, nil).One(json.RawMessage(`[]`)); err == nil {
		t.Error("an array is taken for an object")
	}
}

func TestMoment(t *testing.T) {
	now := time.Now()
	for text, want := range map[string]time.Time{
		"1774746000000":             time.UnixMilli(1774746000000),
		"2026-03-29T08:00:00Z":      time.Date(2026, 3, 29, 8, 0, 0, 0, time.UTC),
		"2026-03-29T08:00:00+02:00": time.Date(2026, 3, 29, 6, 0, 0, 0, time.UTC),
		"2026-03-29":                time.Date(2026, 3, 29, 0, 0, 0, 0, time.Local),
		"2026-03-29T08:30":          time.Date(2026, 3, 29, 8, 30, 0, 0, time.Local),
		"1h30m":                     now.Add(-90 * time.Minute),
		"2d":                        now.Add(-48 * time.Hour),
		"90":                        now.Add(-90 * time.Second),
	} {
		var m Moment
		if err := m.Set(text); err != nil || m.Sub(want).Abs() > time.Minute {
			t.Errorf("%s: %v (%v), want %v", text, m.Time, err, want)
		}
	}
	future := Moment{Future: true}
	if err := future.Set("2d"); err != nil || future.Before(now.Add(47*time.Hour)) {
		t.Errorf("2d from now is %v (%v)", future.Time, err)
	}
	for _, text := range []string{"", "yesterday", "-1h", "2026-13-01"} {
		var m Moment
		if err := m.Set(text); err == nil || m.String() != "" {
			t.Errorf("%q is taken for %v", text, m)
		}
	}
	m := Moment{Time: time.UnixMilli(1774746000123)}
	var back Moment
	if err := back.Set(m.String()); err != nil || !back.Equal(m.Time) || back.Millis() != "1774746000123" {
		t.Errorf("%s is read back as %s (%v)", m.String(), back.Millis(), err)
	}
}

func TestRelative(t *testing.T) {
	now := time.UnixMilli(1774746000000)
	for d, want := range map[time.Duration]string{
		5 * time.Minute:               "in 5m",
		-3 * time.Second:              "3s ago",
		0:                             "in 0",
		50*time.Hour + 59*time.Minute: "in 2d",
		-(time.Hour + 2*time.Minute + 30*time.Second): "1h2m ago",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := relative(time.Time{}, now); got != "" {
		t.Errorf("no time is %q", got)
	}
}
