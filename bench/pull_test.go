package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// fakeQueue is a small server of the calls that Pull makes, with faults to choose from.
type fakeQueue struct {
	lose   bool // never hands out the first message
	back   bool // hands the first message out again after its acknowledgement
	damage bool // changes a letter of each message
	few    bool // hands out one at a time
	deny   bool // takes nothing

	mu     sync.Mutex
	queue  []json.RawMessage
	leased map[string]json.RawMessage
	leases int
	again  bool
}

func (q *fakeQueue) serve(ctx context.Context, ln net.Listener) error {
	q.leased = make(map[string]json.RawMessage)
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		q.mu.Lock()
		defer q.mu.Unlock()
		path := string(req.Path())
		var body struct {
			Messages []struct{ Message json.RawMessage }
			Acks     []struct {
				Lease string `json:"lease_id"`
			}
		}
		if err := json.Unmarshal(req.PostBody(), &body); err != nil || string(req.Request.Header.Peek("Authorization")) != "Bearer secret" {
			req.Error("bad request", fasthttp.StatusBadRequest)
			return
		}
		switch path[strings.LastIndexByte(path, '/')+1:] {
		case "messages":
			for _, m := range body.Messages {
				q.queue = append(q.queue, bytes.Clone(m.Message))
			}
			if q.deny {
				req.SetBodyString(`{"results":[{"error":"full"}]}`)
				return
			}
			req.SetBodyString(`{"results":[]}`)
		case "receive":
			q.receive(req)
		case "ack":
			for _, a := range body.Acks {
				if q.back && !q.again {
					q.again, q.queue = true, append(q.queue, q.leased[a.Lease])
				}
				delete(q.leased, a.Lease)
			}
			fmt.Fprintf(req, `{"ack_count":%d,"retry_count":0,"warnings":[]}`, len(body.Acks))
		}
	})
}

func (q *fakeQueue) receive(req *fasthttp.RequestCtx) {
	n := min(len(q.queue), pullBatch)
	if q.few {
		n = min(n, 1)
	}
	var objects []string
	for _, m := range q.queue[:n] {
		if q.lose {
			q.lose = false
			continue
		}
		q.leases++
		lease := fmt.Sprintf("lease-%d", q.leases)
		q.leased[lease] = m
		text := string(m)
		if q.damage {
			text = text[:len(text)-2] + "_\""
		}
		objects = append(objects, fmt.Sprintf(`{"message_id":"msg_%d","queue":"q","message":%s,"lease_id":%q,"attempts":1}`, q.leases, text, lease))
	}
	q.queue = q.queue[n:]
	req.SetBodyString(`{"messages":[` + strings.Join(objects, ",") + `]}`)
}

func pullQuick(q *fakeQueue) PullOptions {
	return PullOptions{Common: quick(inProcess(q.serve), 2), Depth: 500, DrainTimeout: 5 * time.Second}
}

func TestPull(t *testing.T) {
	t.Parallel()
	report, err := Pull(t.Context(), pullQuick(&fakeQueue{}))
	if err != nil {
		t.Fatal(err)
	}
	run := report.Runs[0]
	if report.Scenario != "pull" || len(run.Sides) != 2 || run.Sides[0].Name != "server" || run.Sides[1].Name != "echo" || len(run.Ratios) != 1 {
		t.Errorf("report %+v", report)
	}
	for _, s := range run.Sides {
		if len(s.Rounds) != 3 || s.Messages < pullBatch || s.Rate <= 0 || s.P50 <= 0 || s.P99 < s.P50 || s.Failed+s.Duplicates != 0 {
			t.Errorf("side %+v", s)
		}
	}
}

// TestPullFindsFaults: what a server does wrong voids the run.
func TestPullFindsFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		queue *fakeQueue
		want  error
	}{
		"damage": {&fakeQueue{damage: true}, ErrCorrupt},
		"few":    {&fakeQueue{few: true}, ErrFailing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Pull(t.Context(), pullQuick(tt.queue)); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if _, err := Pull(t.Context(), pullQuick(&fakeQueue{deny: true})); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a publish whose items are refused: %v", err)
	}
}

// TestPullLedger: a message that does not come is lost, and one that comes after it was
// acknowledged is an error, not a duplicate.
func TestPullLedger(t *testing.T) {
	for name, tt := range map[string]struct {
		queue *fakeQueue
		want  error
	}{
		"lose": {&fakeQueue{lose: true}, ErrLost},
		"back": {&fakeQueue{back: true}, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			q := tt.queue
			o := pullQuick(q).withDefaults()
			o.DrainTimeout = 100 * time.Millisecond
			child, err := o.Spawn(t.Context(), RoleServer)
			if err != nil {
				t.Fatal(err)
			}
			defer child.Stop() //nolint:errcheck // what it was asked is what is tested
			p, err := newPull(&o, 1, child.Server)
			if err != nil {
				t.Fatal(err)
			}
			k := p.consumer(t.Context(), 0)
			defer k.w.close()
			if err := k.publish(); err != nil {
				t.Fatal(err)
			}
			err = p.drain(t.Context())
			if err == nil { // nothing is missing: what comes now came before
				err = k.consume(nil)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestPullFormat: what is put is read, and nothing that differs.
func TestPullFormat(t *testing.T) {
	f := newPullFormat(pullBodyMin)
	batch := f.blank()
	for i := range pullBatch {
		f.put(batch, i, uint64(i)<<40|7)
	}
	var sent struct {
		Messages []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(batch, &sent); err != nil || len(sent.Messages) != pullBatch {
		t.Fatalf("a batch of %d: %v", len(sent.Messages), err)
	}
	object := func(m string) []byte {
		return []byte(`{"messages":[{"message_id":"msg_1","queue":"q","message":` + m + `,"lease_id":"l-9","attempts":1}]}`)
	}
	good := string(sent.Messages[3].Message)
	if len(good) != pullBodyMin {
		t.Errorf("a message of %d bytes", len(good))
	}
	got, err := f.read(nil, object(good))
	if err != nil || len(got) != 1 || got[0].seq != 3<<40|7 || string(got[0].lease) != "l-9" {
		t.Errorf("read %+v, %v", got, err)
	}
	if got, err := f.read(nil, []byte(`{"messages":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("nothing is read as %+v, %v", got, err)
	}
	for _, bad := range []string{
		strings.Replace(good, "\"", "\"f", 1), good[:len(good)-2] + `"`, strings.Replace(good, f.run, strings.Repeat("0", 16), 1),
		strings.Replace(good, "0000030000000007", "000003000000000x", 1), "null", `""`,
	} {
		if got, err := f.read(nil, object(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s is read as %+v, %v", bad, got, err)
		}
	}
	if got, err := f.read(nil, []byte(strings.Replace(string(object(good)), "lease_id", "lease", 1))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("without a lease: %+v, %v", got, err)
	}
}

func TestPullOptions(t *testing.T) {
	for _, change := range []func(o *PullOptions){
		func(o *PullOptions) { o.BodyBytes = pullBodyMin - 1 },
		func(o *PullOptions) { o.BodyBytes = pullBodyMax + 1 },
		func(o *PullOptions) { o.Depth = -1 },
		func(o *PullOptions) { o.DrainTimeout = -1 },
		func(o *PullOptions) { o.Rounds = -1 },
	} {
		o := pullQuick(&fakeQueue{})
		change(&o)
		if _, err := Pull(t.Context(), o); err == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}
