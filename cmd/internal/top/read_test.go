package top

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// documents answers paths, without their queries, with JSON, and others with an error.
type documents struct {
	mu    sync.Mutex
	asked []string
	by    map[string]string
}

func (d *documents) Get(_ context.Context, path string, v any) error {
	d.mu.Lock()
	d.asked = append(d.asked, path)
	d.mu.Unlock()
	path, _, _ = strings.Cut(path, "?")
	text, ok := d.by[path]
	if !ok {
		return errors.New("not for you")
	}
	return json.Unmarshal([]byte(text), v)
}

// The documents are those of httpapi/EXTENSIONS.md, QUEUES.md and QSTASH.md §8, shortened.
var (
	adminDocuments = map[string]string{
		"/stats": `{"logBytes":67108864,"liveBytes":1048576,"segments":2,"spares":5,"writtenBytes":5000000,"records":900,"syncs":300,"ticksPublished":7,"messagesPublished":900,"messagesDelivered":880,"messagesPending":12040}`,
		"/hosts": `{"hosts":[
			{"host":"http://dead.example:80","halfOpen":true,"failures":11,"inFlight":1,"messages":12,"averageMillis":0,"nextProbe":"2026-03-01T00:00:02Z"},
			{"host":"http://fast.example:80","quick":true,"inFlight":90,"messages":100,"averageMillis":4,"answered":"2026-03-01T00:00:00Z"},
			{"host":"","inFlight":0,"messages":3}]}`,
	}
	apiDocuments = map[string]string{
		"/v2/stats": `{"from":1772323200000,"to":1772323210000,"stepSeconds":1,"backlog":12034,"total":{"published":5120,"delivered":4980,
			"retried":1,"failed":0,"canceled":0,"latencyMillis":{"count":4980,"p50":11,"p90":23,"p99":191,"max":447}},"points":[]}`,
		"/v2/globalParallelism": `{"parallelismMax":1000,"parallelismCount":214}`,
		"/v2/flowControl":       `[{"flowControlKey":"tenant/\u001b[2J1","waitListSize":7,"parallelismMax":3,"parallelismCount":2,"rateMax":10,"rateCount":4,"ratePeriod":60,"isPaused":true,"isPinnedRate":true}]`,
		"/v2/queues":            `[{"name":"orders","parallelism":2,"lag":31,"paused":false}]`,
		"/v1/queues": `{"queues":[{"name":"jobs","paused":true,"pending":5,"in_flight":2,"delayed":1},
			{"name":"hooks","webhook_url":"http://a.example","max_concurrency":10,"pending":0,"in_flight":0,"delayed":0}]}`,
		"/v1/metrics": `{"queues":{"jobs":{"oldest_age_seconds":92.5,"published":100,"delivered":90,"dead_lettered":3}}}`,
		"/v2/hosts":   `[{"host":"http://dead.example:80","halfOpen":true,"nextProbe":1772323202000,"inFlight":1,"messages":12}]`,
	}
)

func read(t *testing.T, r *Reader) *Snapshot {
	t.Helper()
	s, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadTakesEverythingThatIsTold(t *testing.T) {
	s := read(t, &Reader{Admin: &documents{by: adminDocuments}, API: &documents{by: apiDocuments}})
	if len(s.Problems) > 0 {
		t.Fatal(s.Problems)
	}
	probe, answered := time.Date(2026, 3, 1, 0, 0, 2, 0, time.UTC), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	want := Snapshot{
		At: s.At, Disk: s.Disk,
		Account:     &Account{Published: 512, Delivered: 498, Retried: 0.1, Backlog: 12034, Latency: &Quantiles{11, 191, 447}},
		Parallelism: &Parallelism{1000, 214},
		Hosts: []Host{
			{Name: "http://dead.example:80", State: halfOpen, InFlight: 1, Waiting: 11, Failures: 11, Probe: &probe},
			{Name: "http://fast.example:80", State: quick, InFlight: 90, Waiting: 10, Millis: 4, Answered: &answered},
		},
		Queues: []Queue{
			{Name: "orders", Kind: "queue", Parallelism: 2, Waiting: 31},
			{Name: "jobs", Kind: "pull", Paused: true, Waiting: 5, InFlight: 2, Delayed: 1, OldestAge: 92.5, Published: 100, Delivered: 90, Dead: 3},
			{Name: "hooks", Kind: "webhook", Parallelism: 10},
		},
		Flows: []Flow{{Key: "tenant/\x1b[2J1", Waiting: 7, ParallelismMax: 3, ParallelismCount: 2, RateMax: 10, RateCount: 4, RatePeriod: 60, Paused: true, PinnedRate: true}},
	}
	if !reflect.DeepEqual(*s, want) {
		t.Errorf("got  %+v\nwant %+v", *s, want)
	}
	if s.Disk == nil || s.Disk.WrittenBytes != 5000000 || s.Disk.Ticks != 7 {
		t.Errorf("disk: %+v", s.Disk)
	}
}

func TestReadWithoutAdminListenerTakesTheAccountsHosts(t *testing.T) {
	s := read(t, &Reader{API: &documents{by: apiDocuments}})
	if s.Disk != nil || len(s.Hosts) != 1 || s.Hosts[0].State != halfOpen || s.Hosts[0].Waiting != 11 ||
		!s.Hosts[0].Probe.Equal(time.UnixMilli(1772323202000)) {
		t.Errorf("got %+v", s)
	}
}

func TestReadNamesWhatIsMissing(t *testing.T) {
	partly := map[string]string{"/v2/queues": apiDocuments["/v2/queues"]}
	s := read(t, &Reader{Admin: &documents{}, API: &documents{by: partly}})
	if len(s.Queues) != 1 || len(s.Problems) != 7 || s.Problems[0] != "statistics of the disk: not for you" {
		t.Errorf("got %+v", s)
	}
	if s, err := (&Reader{Admin: &documents{}, API: &documents{}}).Read(t.Context()); err == nil {
		t.Errorf("nobody told anything, and yet: %+v", s)
	}
}

// The clock of the machine that top runs on has nothing to do with the server's: 2026-03-01 in the
// documents.
func TestRatesAreOfTheServersSeconds(t *testing.T) {
	api := &documents{by: apiDocuments}
	r := &Reader{API: api}
	read(t, r)
	read(t, r)
	var from []time.Time
	for _, path := range api.asked {
		if query, ok := strings.CutPrefix(path, "/v2/stats?"); ok {
			v, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			ms, err := strconv.ParseInt(v.Get("from"), 10, 64)
			if err != nil || ms%1000 != 0 {
				t.Fatalf("%s: want a whole second", path)
			}
			from = append(from, time.UnixMilli(ms))
		}
	}
	server := time.UnixMilli(1772323210000)
	if len(from) != 2 {
		t.Fatalf("asked %q", api.asked)
	}
	for _, f := range from {
		if d := server.Sub(f); d < window-time.Minute || d > window+time.Minute { // a day and more, by our clock
			t.Errorf("asked from %v on, %v before the server's time", f, d)
		}
	}
}

func TestAccountRates(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 20, 0, time.UTC).UnixMilli()
	for _, c := range []struct {
		name       string
		from, step int64
		want       float64
	}{
		{"seconds", at - 10_000, 1, 60},
		{"a minute that began 20 s ago", at - 10_000, 60, 30},
		{"two minutes, the first as a whole", at - 30_000, 60, 7.5},
	} {
		s := accountStats{From: c.from, To: at, StepSeconds: c.step}
		s.Total.Published = 600
		if got := s.account().Published; got != c.want {
			t.Errorf("%s: %v a second, want %v", c.name, got, c.want)
		}
	}
}
