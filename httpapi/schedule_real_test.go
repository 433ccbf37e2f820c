package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// realSite is a server with the real engine.
type realSite struct{ addr string }

func (s realSite) send(t testing.TB, raw string) answer {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a dead connection fails the read
	io.WriteString(c, raw)                          //nolint:errcheck // the answer tells
	method, _, _ := strings.Cut(raw, " ")
	return readAnswer(t, bufio.NewReader(c), method)
}

// want sends a request and decodes an answer of this status into v, if there is one.
func (s realSite) want(t testing.TB, raw string, status int, v any) {
	t.Helper()
	a := s.send(t, raw)
	if a.StatusCode != status {
		t.Fatalf("%.80q: %d %s, want %d", raw, a.StatusCode, a.body, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// scheduleView is a schedule object as a client decodes it.
type scheduleView struct {
	ScheduleID, Cron, Destination, Method, Body string
	Header                                      map[string][]string
	CreatedAt, LastScheduleTime                 int64
	NextScheduleTime                            int64
	Retries                                     *int
	Delay                                       int
	IsPaused                                    *bool
	LastScheduleStates                          map[string]string
	Tidemill                                    map[string]any
}

func (s realSite) view(t testing.TB, id string) (v scheduleView) {
	t.Helper()
	s.want(t, request("GET /v2/schedules/"+id), 200, &v)
	if v.ScheduleID != id || v.Retries == nil || v.IsPaused == nil {
		t.Fatalf("the view of %s: %+v", id, v)
	}
	return v
}

// TestSchedulesEndToEnd creates a schedule of every second over the wire, sees its
// ticks arrive, and changes and ends it.
func TestSchedulesEndToEnd(t *testing.T) {
	arrivals := make(chan arrival, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrivals <- arrival{r.Header, r.Method + " " + r.RequestURI, string(b)}
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer receiver.Close()
	s := realSite{startReal(t)}
	var made struct{ ScheduleID string }
	s.want(t, requestBody("POST /v2/schedules/"+receiver.URL+"/a//b?x=1", "tick", "Upstash-Cron: * * * * * *", "Tidemill-Cron-Seconds: true",
		"Upstash-Schedule-Id: mine", "Upstash-Method: PUT", "Content-Type: a/b", "Upstash-Forward-X: y"), 200, &made)
	if made.ScheduleID != "mine" {
		t.Fatalf("created %+v", made)
	}
	first, second := receive(t, arrivals), receive(t, arrivals)
	for _, got := range []arrival{first, second} {
		if got.uri != "PUT /a//b?x=1" || got.body != "tick" || got.header.Get("Content-Type") != "a/b" || got.header.Get("X") != "y" ||
			got.header.Get("Upstash-Schedule-Id") != "mine" || got.header.Get("Upstash-Caller-Ip") != "127.0.0.1" || got.header.Get("Upstash-Signature") == "" {
			t.Errorf("arrived %+v", got)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Tidemill") {
				t.Errorf("%s was forwarded", name)
			}
		}
	}
	if a, b := first.header.Get("Upstash-Message-Id"), second.header.Get("Upstash-Message-Id"); a == b || a == "" {
		t.Errorf("two ticks have the messages %q and %q", a, b)
	}
	s.want(t, request("PATCH /v2/schedules/mine/pause"), 200, nil)
	s.want(t, request("POST /v2/schedules/mine/pause"), 200, nil)
	var v scheduleView
	for deadline := time.Now().Add(5 * time.Second); ; {
		v = s.view(t, "mine")
		if states := fmt.Sprint(v.LastScheduleStates); strings.Contains(states, "SUCCESS") || time.Now().After(deadline) {
			break
		}
	}
	if v.Method != "PUT" || v.Body != "tick" || v.Destination != receiver.URL+"/a//b?x=1" || !*v.IsPaused || *v.Retries != 3 ||
		v.LastScheduleTime%1000 != 0 || v.LastScheduleTime < v.CreatedAt || v.NextScheduleTime <= v.LastScheduleTime ||
		len(v.LastScheduleStates) != 1 || fmt.Sprint(v.Tidemill) != "map[cronSeconds:true]" || fmt.Sprint(v.Header) != "map[Content-Type:[a/b] X:[y]]" {
		t.Errorf("the view is %+v", v)
	}
	s.duplicate(t, receiver.URL)
	s.upsert(t, receiver.URL, v.CreatedAt)
	s.end(t)
	s.failing(t, receiver.URL)
}

func receive(t *testing.T, arrivals <-chan arrival) arrival {
	t.Helper()
	select {
	case a := <-arrivals:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no delivery within 20 s")
		return arrival{}
	}
}

// duplicate creates a schedule twice under one deduplication id (QSTASH.md §3.6).
func (s realSite) duplicate(t *testing.T, url string) {
	t.Helper()
	var first, again struct {
		ScheduleID   string
		Deduplicated bool
	}
	create := request("POST /v2/schedules/"+url, "Upstash-Cron: 0 0 1 1 *", "Upstash-Deduplication-Id: once")
	s.want(t, create, 200, &first)
	s.want(t, create, 202, &again)
	if !strings.HasPrefix(first.ScheduleID, "scd_") || again.ScheduleID != first.ScheduleID || first.Deduplicated || !again.Deduplicated {
		t.Errorf("created %+v, then %+v", first, again)
	}
	s.want(t, request("DELETE /v2/schedules/"+first.ScheduleID), 200, nil)
}

// upsert replaces the schedule by one of another kind under the same id.
func (s realSite) upsert(t *testing.T, url string, created int64) {
	t.Helper()
	s.want(t, requestBody("POST /v2/schedules", `{"destination":"`+url+`/later","cron":" CRON_TZ=Asia/Tokyo 0 9 1 1 * ","delay":90,"headers":{"Upstash-Schedule-Id":"mine"}}`), 200, nil)
	v := s.view(t, "mine")
	if v.Cron != "CRON_TZ=Asia/Tokyo 0 9 1 1 *" || v.Body != "" || v.Method != "POST" || v.Delay != 90 || v.CreatedAt != created ||
		v.Destination != url+"/later" || v.Tidemill != nil || v.Header != nil {
		t.Errorf("replaced: %+v", v)
	}
	var next struct {
		Next []struct {
			Time  int64
			Local string
		}
	}
	s.want(t, request("GET /v2/schedules/mine/next?n=2"), 200, &next)
	if len(next.Next) != 2 || !strings.HasSuffix(next.Next[0].Local, "-01-01T09:00:00+09:00") || next.Next[0].Time != v.NextScheduleTime {
		t.Errorf("its ticks: %+v, and the view says %d", next, v.NextScheduleTime)
	}
}

// end resumes and deletes the schedule; another account's requests change nothing.
func (s realSite) end(t *testing.T) {
	t.Helper()
	other := func(line string) string { return strings.ReplaceAll(request(line), goodToken, otherToken) }
	for _, line := range []string{"GET /v2/schedules/mine", "GET /v2/schedules/mine/next", "POST /v2/schedules/mine/pause", "PATCH /v2/schedules/mine/resume"} {
		s.want(t, other(line), 404, nil)
	}
	s.want(t, other("DELETE /v2/schedules/mine"), 200, nil) // as of one that never was
	var list []scheduleView
	if s.want(t, other("GET /v2/schedules"), 200, &list); len(list) != 0 {
		t.Errorf("another account sees %+v", list)
	}
	s.want(t, request("PUT /v2/schedules/mine/resume"), 200, nil)
	if s.want(t, request("GET /v2/schedules"), 200, &list); len(list) != 1 || list[0].ScheduleID != "mine" || *list[0].IsPaused {
		t.Errorf("the list is %+v", list)
	}
	s.want(t, request("DELETE /v2/schedules/mine"), 200, nil)
	s.want(t, request("DELETE /v2/schedules/mine"), 200, nil)
	s.want(t, request("GET /v2/schedules/mine"), 404, nil)
	s.want(t, request("POST /v2/schedules/mine/pause"), 404, nil)
}

// failing looks for the dead letters of a schedule by its id.
func (s realSite) failing(t *testing.T, url string) {
	t.Helper()
	s.want(t, requestBody("POST /v2/batch", `[{"destination":"`+url+`/fails","headers":{"Upstash-Cron":"* * * * * *","Tidemill-Cron-Seconds":"true",
		"Upstash-Schedule-Id":"bad","Upstash-Retries":"0"}},{"destination":"`+url+`/fails","headers":{"Upstash-Retries":"0"}}]`), 200, nil)
	var dead struct {
		Messages []struct{ MessageID, ScheduleID string }
	}
	for deadline := time.Now().Add(5 * time.Second); len(dead.Messages) == 0 && time.Now().Before(deadline); {
		s.want(t, request("GET /v2/dlq?scheduleId=none,bad"), 200, &dead)
	}
	if len(dead.Messages) == 0 || dead.Messages[0].ScheduleID != "bad" {
		t.Errorf("dead letters of the schedule: %+v", dead)
	}
	s.want(t, request("DELETE /v2/schedules/bad"), 200, nil)
	s.want(t, request("GET /v2/dlq?scheduleId=none"), 200, &dead)
	if len(dead.Messages) != 0 {
		t.Errorf("dead letters of no schedule: %+v", dead)
	}
}

// TestBadCrons: each is refused with a text that names the field, in every way to
// create a schedule, and nothing is created (RELIABILITY.md (d)).
func TestBadCrons(t *testing.T) {
	s := realSite{startReal(t)}
	tests := []struct{ cron, names string }{
		{"60 * * * *", "minute"},
		{"* 24 * * *", "hour"},
		{"* * 32 * *", "day of month"},
		{"* * * 13 *", "month"},
		{"* * * * 8", "day of week"},
		{"0 22-2 * * *", "hour"},
		{"*/0 * * * *", "minute"},
		{"0 0 31 2 *", "never fires"},
		{"* * * *", "field"},
		{"* * * * * *", "field"},
		{"0 0 0 1 1 * 2030", "field"},
		{"@reboot", "@daily"},
		{"hello", "field"},
		{"CRON_TZ=../../etc/passwd * * * * *", "zone"},
		{"CRON_TZ=Mars/X * * * * *", "zone"},
		{"CRON_TZ=/etc/localtime * * * * *", "zone"},
		{"CRON_TZ=Local * * * * *", "zone"},
		{"CRON_TZ= * * * * *", "zone"},
		{"CRON_TZ=Europe/Berlin", "empty"},
		{strings.Repeat(",", 10_000) + " * * * *", "bytes"},
		{strings.Repeat("* * * * * ", 5_000), "bytes"},
		{"* * * * *\xff", "day of week"},
		{"١ * * * *", "minute"},
	}
	for _, tt := range tests {
		quoted, _ := json.Marshal(tt.cron)
		for _, raw := range []string{
			request("POST /v2/schedules/http://h.test", "Upstash-Cron: "+tt.cron),
			request("POST /v2/publish/http://h.test", "Upstash-Cron: "+tt.cron),
			requestBody("POST /v2/batch", `[{"destination":"http://h.test","headers":{"Upstash-Cron":`+string(quoted)+`}}]`),
			requestBody("POST /v2/schedules", `{"destination":"http://h.test","cron":`+string(quoted)+`}`),
		} {
			a := s.send(t, raw)
			if a.StatusCode != 400 || !strings.Contains(a.body, "Upstash-Cron") || !strings.Contains(a.body, tt.names) || len(a.body) > 1000 {
				t.Errorf("%.60q by %.40q: %d %.300s\nwant 400 with Upstash-Cron and %q", tt.cron, raw, a.StatusCode, a.body, tt.names)
			}
		}
		a := s.send(t, request("GET /v2/schedules/next?cron="+queryEscape(tt.cron[:min(len(tt.cron), 10_000)])))
		if a.StatusCode != 400 || !strings.Contains(a.body, tt.names) {
			t.Errorf("preview of %.60q: %d %.300s", tt.cron, a.StatusCode, a.body)
		}
	}
	million := strings.Repeat("* * * * * ", 1_000_000)
	if a := s.send(t, request("POST /v2/schedules/http://h.test", "Upstash-Cron: "+million)); a.StatusCode != 431 {
		t.Errorf("10 MB of cron in a header: %d %.200s", a.StatusCode, a.body)
	}
	if a := s.send(t, requestBody("POST /v2/schedules", `{"destination":"http://h.test","cron":"`+million+`"}`)); a.StatusCode != 400 || !strings.Contains(a.body, "Upstash-Cron") {
		t.Errorf("10 MB of cron in JSON: %d %.200s", a.StatusCode, a.body)
	}
	var list []scheduleView
	if s.want(t, request("GET /v2/schedules"), 200, &list); len(list) != 0 {
		t.Errorf("%d schedules were created", len(list))
	}
}

func queryEscape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}
