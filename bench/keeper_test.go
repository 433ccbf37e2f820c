package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// keeper is a small server that keeps messages in memory over its own death, with faults
// to choose from. It has publishes, batches, queues without any order, URL groups,
// callbacks, retries, and an admin listener on the same port.
type keeper struct {
	dir      string // its "data": a file that grows by each body
	lose     int    // of what is due, does not deliver every n-th message; 0: none
	loseAt   string // does not deliver to URLs with this in them
	forget   bool   // a life knows nothing of what waited in the life before
	hasty    bool   // delivers at once what is delayed for less than an hour
	repeat   bool   // delivers twice
	mute     bool   // logs nothing of how it opened
	immortal bool   // cannot be killed
	uncount  bool   // says that nothing waits
	refuse   int    // refuses this many batches, and the first message of this many more

	mu      sync.Mutex
	n       int
	pending map[string]*kept
	groups  map[string][]string
	file    *os.File
}

type kept struct {
	url, callback string
	body          []byte
	due           time.Time
	retries       int
	begun         bool // in this life
}

func newKeeper(t *testing.T) *keeper {
	k := &keeper{dir: t.TempDir(), pending: map[string]*kept{}, groups: map[string][]string{}}
	var err error
	if k.file, err = os.Create(filepath.Join(k.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.file.Close() })
	return k
}

// spawn is a Spawn whose servers are lives of k, or of a new keeper like it for each.
func (k *keeper) spawn(each func() *keeper) Spawn {
	others := inProcess(nil)
	return func(ctx context.Context, role Role) (*Child, error) {
		if role != RoleServer {
			return others(ctx, role)
		}
		if each != nil {
			return each().live(ctx)
		}
		return k.live(ctx)
	}
}

// live begins a life.
func (k *keeper) live(context.Context) (*Child, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &keeperLife{keeper: k, ctx: ctx, client: &http.Transport{MaxIdleConnsPerHost: 64}}
	k.mu.Lock()
	for id, m := range k.pending {
		m.begun = false
		if k.forget && time.Until(m.due) > time.Minute {
			delete(k.pending, id)
		}
	}
	k.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, l.handle) }()
	l.wg.Go(l.deliverAll)
	end := sync.OnceValue(func() error {
		cancel()
		err := <-done
		l.wg.Wait()
		l.client.CloseIdleConnections()
		return err
	})
	url := "http://" + ln.Addr().String()
	child := NewChild(Server{URL: url, Token: "secret", PID: os.Getpid(), Admin: url, Data: k.dir}, end)
	if k.immortal {
		return child, nil
	}
	said := `{"msg":"starting"}` + "\n" + `{"msg":"engine: opened","replayed_bytes":50000000,"log":"5ms","replay":"20ms"}` + "\n"
	if k.mute {
		said = `{"msg":"starting"}` + "\n"
	}
	return child.WithLife(Life{Kill: end, Start: k.live, Said: func() string { return said }}), nil
}

// keeperLife is the time between a start and a stop, or kill.
type keeperLife struct {
	*keeper
	ctx    context.Context
	client *http.Transport
	wg     sync.WaitGroup
}

func (l *keeperLife) handle(req *fasthttp.RequestCtx) {
	target := string(req.Request.Header.RequestURI())
	switch {
	case strings.HasPrefix(target, "/metrics"):
		l.metrics(req)
	case strings.HasPrefix(target, "/debug/pprof/allocs"):
		req.SetBodyString("heap profile\n# Mallocs = " + strconv.Itoa(l.count()*3) + "\n# Frees = 1\n")
	case string(req.Request.Header.Peek("Authorization")) != "Bearer secret":
		req.SetStatusCode(http.StatusUnauthorized)
	case target == "/v2/batch":
		l.batch(req)
	case strings.HasPrefix(target, "/v2/topics/"):
		l.group(req, strings.Split(target, "/")[3])
	case strings.HasPrefix(target, "/v2/messages/"):
		m := l.find(target[len("/v2/messages/"):])
		if m == nil {
			req.SetStatusCode(http.StatusNotFound)
			return
		}
		fmt.Fprintf(req, `{"body":"%s"}`, m.body)
	case strings.HasPrefix(target, "/v2/enqueue/"):
		l.publish(req, strings.SplitN(target, "/", 5)[4])
	case strings.HasPrefix(target, publishPrefix):
		l.publish(req, target[len(publishPrefix):])
	default:
		req.SetStatusCode(http.StatusNotFound)
	}
}

func (l *keeperLife) metrics(req *fasthttp.RequestCtx) {
	waiting := l.count()
	if l.uncount {
		waiting = 0
	}
	fmt.Fprintf(req, "tidemill_messages_pending %d\ngo_goroutines 7\ngo_cpu_classes_gc_total_cpu_seconds_total %v\nprocess_cpu_seconds_total %v\n",
		waiting, float64(time.Now().UnixMicro()%1e9)/1e9, float64(time.Now().UnixMicro()%1e9)/1e7)
}

func (l *keeperLife) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

func (l *keeperLife) find(id string) *kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending[id]
}

func (l *keeperLife) group(req *fasthttp.RequestCtx, name string) {
	var body struct{ Endpoints []struct{ URL string } }
	if err := json.Unmarshal(req.Request.Body(), &body); err != nil {
		req.SetStatusCode(http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range body.Endpoints {
		l.groups[name] = append(l.groups[name], e.URL)
	}
}

func (l *keeperLife) publish(req *fasthttp.RequestCtx, target string) {
	h := &req.Request.Header
	l.mu.Lock()
	urls := l.groups[target]
	l.mu.Unlock()
	if urls == nil {
		urls = []string{target}
	}
	for _, url := range urls {
		l.keep(&kept{url: url, body: bytes.Clone(req.Request.Body()), callback: string(h.Peek("Upstash-Callback"))}, string(h.Peek("Upstash-Delay")))
	}
	answerAccepted(req)
}

func (l *keeperLife) batch(req *fasthttp.RequestCtx) {
	l.mu.Lock()
	l.refuse--
	refuse := l.refuse
	l.mu.Unlock()
	if refuse >= 0 && refuse%2 == 0 {
		req.SetStatusCode(http.StatusServiceUnavailable)
		return
	}
	var items []struct {
		Destination, Body string
		Headers           map[string]string
	}
	if err := json.Unmarshal(req.Request.Body(), &items); err != nil {
		req.Error(err.Error(), http.StatusBadRequest)
		return
	}
	var answers []fillAnswer
	for i, item := range items {
		if i == 0 && refuse >= 0 {
			answers = append(answers, fillAnswer{Error: "overloaded"})
			continue
		}
		id := l.keep(&kept{url: item.Destination, body: []byte(item.Body)}, item.Headers["Upstash-Delay"])
		answers = append(answers, fillAnswer{ID: id})
	}
	b, _ := json.Marshal(answers)
	req.SetBody(b)
}

func (l *keeperLife) keep(m *kept, delay string) (id string) {
	wait, _ := time.ParseDuration(delay)
	if l.hasty && wait < farLeast {
		wait = 0
	}
	m.due = time.Now().Add(wait)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	id = "msg_" + strconv.Itoa(l.n)
	_, _ = l.file.Write(m.body)
	if l.lose == 0 || wait >= farLeast || l.n%l.lose > 0 {
		l.pending[id] = m
	}
	return id
}

// deliverAll looks now and then at what is due.
func (l *keeperLife) deliverAll() {
	for l.ctx.Err() == nil {
		l.mu.Lock()
		now := time.Now()
		for id, m := range l.pending {
			if !m.begun && !m.due.After(now) {
				m.begun = true
				l.wg.Go(func() { l.deliver(id, m) })
			}
		}
		l.mu.Unlock()
		_ = pause(l.ctx, time.Millisecond)
	}
}

// deliver makes attempts until one is answered with 200.
func (l *keeperLife) deliver(id string, m *kept) {
	lost := l.loseAt != "" && strings.Contains(m.url, l.loseAt)
	for l.ctx.Err() == nil && !lost {
		if l.attempt(m) == http.StatusOK {
			break
		}
		_ = pause(l.ctx, time.Millisecond)
	}
	if l.repeat {
		l.attempt(m)
	}
	if l.ctx.Err() != nil {
		return // it is there in the next life
	}
	if m.callback != "" {
		body, _ := json.Marshal(map[string]any{"status": 200, "sourceBody": base64.StdEncoding.EncodeToString(m.body)})
		l.keep(&kept{url: m.callback, body: body}, "")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, id)
}

// attempt returns the status of the answer; 0 without one. A kill ends it.
func (l *keeperLife) attempt(m *kept) int {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return 0
	}
	req.Header.Set("Upstash-Retried", strconv.Itoa(m.retries))
	m.retries++
	resp, err := l.client.RoundTrip(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
