package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// pigeonholes is a small server of publishes, single and in batches, and of looking them
// up, with faults to choose from.
type pigeonholes struct {
	refuse int           // refuses every n-th item of a batch; 0: none
	short  bool          // answers a batch with one result too few
	forget bool          // looks up nothing
	swap   bool          // looks up another body
	lose   int           // of what is due, does not deliver every n-th
	repeat int           // delivers every n-th twice
	early  time.Duration // delivers so long before the due time
	busy   int           // answers so many calls with 503 first

	mu      sync.Mutex
	n       int
	held    map[string]string
	batches []int // how many messages they had
}

// pigeon is a message.
type pigeon struct {
	Destination, Body string
	Headers           map[string]string
}

func (f *pigeonholes) serve(ctx context.Context, ln net.Listener) error {
	f.held = make(map[string]string)
	clients := &hostClients{conns: 64}
	defer clients.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	deliver := func(m pigeon, wait time.Duration) {
		wg.Go(func() {
			host, err := hostOf(m.Destination)
			if err != nil || pause(ctx, wait) != nil {
				return
			}
			var req fasthttp.Request
			req.SetRequestURI(m.Destination)
			req.Header.SetMethod(fasthttp.MethodPost)
			req.SetBodyString(m.Body)
			_ = clients.of(host).DoTimeout(&req, nil, 5*time.Second) // the ledger knows what arrived
		})
	}
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		path := string(req.Request.Header.RequestURI())
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case string(req.Request.Header.Peek("Authorization")) != "Bearer secret":
			req.Error("who are you?", fasthttp.StatusUnauthorized)
		case f.busy > 0:
			f.busy--
			req.Error("busy", fasthttp.StatusServiceUnavailable)
		case strings.HasPrefix(path, "/v2/messages/"):
			f.lookUp(req, strings.TrimPrefix(path, "/v2/messages/"))
		case path == batchTarget:
			f.batch(req, deliver)
		default:
			m := pigeon{Destination: strings.TrimPrefix(path, publishPrefix), Body: string(req.PostBody()), Headers: map[string]string{}}
			for name, value := range req.Request.Header.All() {
				m.Headers[string(name)] = string(value)
			}
			fmt.Fprintf(req, `{"messageId":%q}`, f.take(m, false, deliver))
		}
	})
}

func (f *pigeonholes) lookUp(req *fasthttp.RequestCtx, id string) {
	body, ok := f.held[id]
	if !ok || f.forget {
		req.Error("not found", fasthttp.StatusNotFound)
		return
	}
	if f.swap {
		body = strings.Repeat("x", len(body))
	}
	fmt.Fprintf(req, `{"messageId":%q,"body":%q}`, id, body)
}

func (f *pigeonholes) batch(req *fasthttp.RequestCtx, deliver func(pigeon, time.Duration)) {
	var items []pigeon
	if err := json.Unmarshal(req.PostBody(), &items); err != nil {
		req.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	f.batches = append(f.batches, len(items))
	var out []string
	for _, m := range items {
		if f.refuse > 0 && (f.n+1)%f.refuse == 0 {
			f.n++
			out = append(out, `{"error":"no } room \" here"}`)
			continue
		}
		out = append(out, fmt.Sprintf(`{"url":%q,"messageId":%q}`, m.Destination, f.take(m, true, deliver)))
	}
	if f.short {
		out = out[1:]
	}
	req.SetBodyString("[" + strings.Join(out, ",") + "]")
}

// take stores a message, and delivers it if it is due within the hour; faulty if it is of
// a batch.
func (f *pigeonholes) take(m pigeon, faulty bool, deliver func(pigeon, time.Duration)) string {
	f.n++
	id := "msg_" + strconv.Itoa(f.n)
	delay, _ := time.ParseDuration(m.Headers["Upstash-Delay"])
	if v := m.Headers["Upstash-Not-Before"]; v != "" {
		n, _ := strconv.ParseInt(v, 10, 64)
		delay = time.Until(time.Unix(n, 0))
	}
	if delay > time.Hour {
		f.held[id] = m.Body
		return id
	}
	if !faulty || f.lose == 0 || f.n%f.lose > 0 {
		deliver(m, delay-f.early)
	}
	if faulty && f.repeat > 0 && f.n%f.repeat == 0 {
		deliver(m, delay)
	}
	return id
}

func quickBatch(f *pigeonholes) BatchOptions {
	return BatchOptions{Common: quick(inProcess(f.serve), 3), Items: 7, Hosts: 2, DrainTimeout: 5 * time.Second}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	for _, deliver := range []bool{false, true} {
		f := new(pigeonholes)
		o := quickBatch(f)
		o.Deliver = deliver
		r, err := Batch(t.Context(), o)
		if err != nil {
			t.Fatalf("deliver %v: %v", deliver, err)
		}
		checkRun(t, r.Runs[0], "batch", "single")
		s := r.Runs[0].Sides
		if s[0].Duplicates+s[1].Duplicates != 0 || s[0].Messages%7 != 0 {
			t.Errorf("deliver %v: sides %+v", deliver, s)
		}
		if len(f.batches) == 0 || slices.Min(f.batches) != 7 || slices.Max(f.batches) != 7 {
			t.Errorf("deliver %v: batches of %v", deliver, f.batches)
		}
		if kept := len(f.held) > 0; kept == deliver {
			t.Errorf("deliver %v: %d messages were stored", deliver, len(f.held))
		}
	}
}

func TestBatchFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   *pigeonholes
		deliver bool
		want    error
	}{
		"an item fails":    {&pigeonholes{refuse: 10}, false, ErrFailing},
		"a result lacks":   {&pigeonholes{short: true}, false, ErrFailing},
		"nothing stored":   {&pigeonholes{forget: true}, false, ErrLost},
		"another one":      {&pigeonholes{swap: true}, false, ErrCorrupt},
		"one not arrived":  {&pigeonholes{lose: 20}, true, ErrLost},
		"a refused server": {&pigeonholes{busy: 1 << 30}, false, ErrFailing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quickBatch(c.fault)
			o.Deliver, o.DrainTimeout = c.deliver, 100*time.Millisecond
			if _, err := Batch(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	f := &pigeonholes{repeat: 5}
	o := quickBatch(f)
	o.Deliver = true
	r, err := Batch(t.Context(), o)
	if err != nil || r.Runs[0].Sides[0].Duplicates == 0 {
		t.Fatalf("every fifth came twice: %v, %+v", err, r)
	}
}

func TestBatchOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*BatchOptions){
		"1 messages a call":  func(o *BatchOptions) { o.Items = 1 },
		"64 MiB at most":     func(o *BatchOptions) { o.Items, o.BodyBytes = 10_000, 1<<20 },
		"bodies of 63 bytes": func(o *BatchOptions) { o.BodyBytes = 63 },
		"delay 1ms":          func(o *BatchOptions) { o.Delay = time.Millisecond },
		"251 hosts":          func(o *BatchOptions) { o.Hosts = 251 },
		"drain timeout":      func(o *BatchOptions) { o.DrainTimeout = -1 },
		"no Spawn":           func(o *BatchOptions) { o.Spawn = nil },
	} {
		o := quickBatch(new(pigeonholes))
		spoil(&o)
		if _, err := Batch(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestReadBatch(t *testing.T) {
	for answer, want := range map[string][]string{
		`[{"messageId":"a"},{"url":"}","messageId":"b"}]`: {"a", "b"},
		`{"messageId":"a"}`:                           {"a"},
		`[{"error":"\"}{"},{"x":{},"messageId":"b"}]`: {"", "b"},
	} {
		got, err := readBatch(nil, []byte(answer), len(want))
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %q, %v", answer, got, err)
			continue
		}
		for i := range want {
			if string(got[i]) != want[i] {
				t.Errorf("%s: %q", answer, got)
			}
		}
	}
	for _, bad := range []string{"", "[]", `[{"messageId":"a"`, `[{"messageId":"a"},{}]`} {
		if _, err := readBatch(nil, []byte(bad), 1); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestTextBodies: they are text, and every byte of them is checked.
func TestTextBodies(t *testing.T) {
	b := newTextBodies(100)
	body := b.blank()
	b.putAt(body, 2, 77, -5)
	if len(body) != 100 || b.size() != 100 {
		t.Fatalf("%d bytes, want 100", len(body))
	}
	if quoted, err := json.Marshal(string(body)); err != nil || len(quoted) != 102 {
		t.Fatalf("in JSON %s, %v", quoted, err)
	}
	s, ours, err := b.read(body)
	if err != nil || !ours || s != (stamp{2, 77, -5}) {
		t.Fatalf("%+v %v %v", s, ours, err)
	}
	for i := range body {
		damaged := slices.Clone(body)
		damaged[i] ^= 0x08
		if got, ours, err := b.read(damaged); err == nil && ours && got == s {
			t.Fatalf("byte %d was changed and nobody saw it", i)
		}
	}
}
