package bench

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// versus is a Spawn of a server that delivers what is not delayed, all but the n-th if lose is
// not 0, and of bridges.
func versus(lose int64) Spawn {
	f := &fake{deliver: true, lose: lose}
	inside := inProcess(func(ctx context.Context, ln net.Listener) error {
		clients := &hostClients{conns: 64}
		defer clients.close()
		return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
			n := f.published.Add(1)
			if len(req.Request.Header.Peek("Upstash-Delay")) == 0 && n != lose {
				f.forward(req, clients)
			}
			answerAccepted(req)
		})
	})
	return func(ctx context.Context, role Role) (*Child, error) {
		spec, ok := strings.CutPrefix(string(role), bridgePrefix)
		if !ok {
			return inside(ctx, role)
		}
		return inProcess(func(ctx context.Context, ln net.Listener) error { return serveBridge(ctx, ln, spec) })(ctx, RoleServer)
	}
}

func quickPeers(t *testing.T, spawn Spawn, peers ...string) PeersOptions {
	if os.Getuid() == 0 { // there may be no user postgres, and none could read our directories
		as := postgresUser
		t.Cleanup(func() { postgresUser = as })
		postgresUser = "root"
	}
	o := PeersOptions{
		Common: quick(spawn, 3), Peers: peers, DataParent: t.TempDir(),
		Delivering: 8, Hosts: 2, DrainTimeout: 20 * time.Second,
	}
	o.Round, o.WarmUp = 20*time.Millisecond, 5*time.Millisecond
	return o
}

var allPrograms = []string{"redis-server", "quirrel", "nats-server", "postgres", "initdb"}

func TestPeers(t *testing.T) {
	onPath(t, allPrograms...)
	o := quickPeers(t, versus(0))
	o.Concurrency = []int{3, redisStreamFrom}
	r, err := Peers(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 3 || r.Runs[0].Concurrency != 8 || r.Runs[2].Concurrency != redisStreamFrom {
		t.Fatalf("runs %+v", r.Runs)
	}
	checkRun(t, r.Runs[0], "server", "redis+bridge", "quirrel", "nats+bridge")
	checkRun(t, r.Runs[1], "server", "redis-LPUSH", "nats", "postgres")
	checkRun(t, r.Runs[2], "server", "redis-XADD", "nats", "postgres")
	for _, run := range r.Runs {
		for i, s := range run.Sides {
			if s.Lost != 0 || s.Duplicates != 0 || (s.Durability == "") != (i == 0) {
				t.Errorf("%s: %+v", run.Name, s)
			}
		}
	}
	if left, err := os.ReadDir(o.DataParent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var text, lines bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteBenchmarks(&lines)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"end to end c=8", "publish c=3", "redis 7.0.15", "nats 2.15.2", "postgres 15.18",
		"  quirrel: Redis with appendonly yes, appendfsync always", "server / nats+bridge: ",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &text)
		}
	}
	if want := "BenchmarkPeers/run=end-to-end/side=quirrel/c=8-"; !strings.Contains(lines.String(), want) {
		t.Errorf("there is no line %s:\n%s", want, &lines)
	}
}

// What a peer loses or repeats is told, and does not fail the run.
func TestPeersFaultsAreTold(t *testing.T) {
	cases := []struct {
		fault            string
		peers            []string
		side             string
		lost, duplicates int64
	}{
		{"redis-server:lose", []string{"redis"}, "redis+bridge", 1, 0},
		{"nats-server:lose", []string{"nats"}, "nats+bridge", 1, 0},
		{"quirrel:lose", []string{"quirrel"}, "quirrel", 1, 0},
		{"quirrel:repeat", []string{"quirrel"}, "quirrel", 0, 1},
		{"postgres:lose", []string{"postgres"}, "postgres", 1, 0},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			onPath(t, allPrograms...)
			t.Setenv(faultEnv, c.fault)
			o := quickPeers(t, versus(0), c.peers...)
			o.DrainTimeout, o.Rounds = 200*time.Millisecond, 2 // the second does not wait again
			r, err := Peers(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			s := r.Runs[0].Sides[1]
			if s.Name != c.side || s.Lost != c.lost || s.Duplicates != c.duplicates {
				t.Fatalf("%s lost %d and repeated %d, want %s, %d, %d", s.Name, s.Lost, s.Duplicates, c.side, c.lost, c.duplicates)
			}
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(text.String(), "; LOST 1 messages"); got != (c.lost > 0) {
				t.Errorf("LOST: %v\n%s", got, &text)
			}
		})
	}
}

func TestPeersFaultsFailTheRun(t *testing.T) {
	cases := []struct {
		fault, peer string
		want        error
		text        string
	}{
		{"redis-server:refuse", "redis", ErrFailing, "redis answered MISCONF the disk is full"},
		{"redis-server:damage", "redis", ErrCorrupt, "bridge to redis: 127.0.0."},
		{"redis-server:die", "redis", ErrFailing, "redis"}, // its end may come later than that of its connections
		{"postgres:refuse", "postgres", ErrFailing, "Mdisk full"},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			onPath(t, allPrograms...)
			t.Setenv(faultEnv, c.fault)
			o := quickPeers(t, versus(0), c.peer)
			_, err := Peers(t.Context(), o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %v with %q", err, c.want, c.text)
			}
			if left, err := os.ReadDir(o.DataParent); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	t.Run("the server loses", func(t *testing.T) {
		onPath(t, allPrograms...)
		o := quickPeers(t, versus(3), "redis")
		o.DrainTimeout = 100 * time.Millisecond
		if _, err := Peers(t.Context(), o); !errors.Is(err, ErrLost) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestProgramThatEndedByItself(t *testing.T) {
	p := &program{cmd: exec.Command("redis-server"), done: make(chan struct{}), err: errors.New("exit status 1")}
	p.said.Write([]byte("died of it"))
	close(p.done)
	want := "redis-server ended in the run: exit status 1: died of it"
	if err := p.stop(); err == nil || err.Error() != want {
		t.Fatalf("error %v, want %q", err, want)
	}
}

// A peer that cannot be measured is left out, with the reason; without any there is nothing
// to compare with.
func TestPeersLeftOut(t *testing.T) {
	cases := []struct {
		fault, peer string
		programs    []string
		missing     string
	}{
		{"", "redis", nil, "redis-server is not on PATH"},
		{"", "quirrel", []string{"redis-server"}, "quirrel is not on PATH"},
		{"", "postgres", []string{"postgres"}, "initdb is not on PATH"},
		{"nats-server:old", "nats", allPrograms, "nats-server 2.9.10 is too old: want 2.10 or later"},
		{"nats-server:full", "nats", allPrograms, "it did not start: nats $JS.API.STREAM.CREATE.stored: insufficient storage"},
		{"redis-server:broken", "redis", allPrograms, "it did not start: redis-server ended before it was ready: exit status 1: no disk at all"},
		{"redis-server:lazy", "redis", allPrograms, `it did not start: redis-server runs with appendfsync "everysec"`},
		{"initdb:broken", "postgres", allPrograms, "it did not start: initdb: exit status 1: no disk at all"},
	}
	for _, c := range cases {
		t.Run(c.missing, func(t *testing.T) {
			onPath(t, c.programs...)
			t.Setenv(faultEnv, c.fault)
			o := quickPeers(t, versus(0), c.peer)
			r, err := Peers(t.Context(), o)
			if !errors.Is(err, ErrNoPeer) || len(r.Peers) != 1 || r.Peers[0].Missing != c.missing {
				t.Fatalf("error %v, %+v", err, r)
			}
			if left, err := os.ReadDir(o.DataParent); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestOnePeerOfTwoIsEnough(t *testing.T) {
	onPath(t, "redis-server")
	r, err := Peers(t.Context(), quickPeers(t, versus(0), "quirrel", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	checkRun(t, r.Runs[0], "server", "redis+bridge")
	var text bytes.Buffer
	if err := WritePeers(&text, r.Peers); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"left out: quirrel is not on PATH", "npm install --global", "redis 7.0.15"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
}

func TestPeersOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*PeersOptions){
		`no peer is called "kafka": want redis, quirrel, nats, postgres`: func(o *PeersOptions) { o.Peers = []string{"redis", "kafka"} },
		"bodies of 66 bytes":              func(o *PeersOptions) { o.BodyBytes = 66 },
		"bodies of 524292 bytes":          func(o *PeersOptions) { o.BodyBytes = peerBodyMax + 4 },
		"-1 producers from end to end":    func(o *PeersOptions) { o.Delivering = -1 },
		"251 hosts":                       func(o *PeersOptions) { o.Hosts = 251 },
		"drain timeout must not":          func(o *PeersOptions) { o.DrainTimeout = -1 },
		"concurrency 10001: want 1 to":    func(o *PeersOptions) { o.Concurrency = []int{10001} },
		"round, warm-up and request time": func(o *PeersOptions) { o.RequestTimeout = -1 },
	} {
		o := quickPeers(t, versus(0))
		spoil(&o)
		if _, err := Peers(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestCancelEndsPeers(t *testing.T) {
	onPath(t, allPrograms...)
	o := quickPeers(t, versus(0))
	o.Round = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	o.Spawn = func(ctx context.Context, role Role) (*Child, error) {
		if role == RoleServer { // the last that is started
			defer time.AfterFunc(50*time.Millisecond, cancel)
		}
		return versus(0)(ctx, role)
	}
	if _, err := Peers(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if left, err := os.ReadDir(o.DataParent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// answering is a server that sends a text to whoever connects and takes in what comes.
func answering(t *testing.T, text string) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte(text)) // the client says what it thinks of it
			conn.(*net.TCPConn).CloseWrite()
			for buf := make([]byte, 512); err == nil; {
				_, err = conn.Read(buf)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func TestBadAnswersOfPeers(t *testing.T) {
	redis := func(ctx context.Context, addr string) error {
		c := newRedisConn(ctx, addr, time.Minute)
		defer c.close()
		_, err := c.do(nil, "PING")
		return err
	}
	nats := func(ctx context.Context, addr string) error {
		c := newNATSConn(ctx, addr, time.Minute)
		defer c.close()
		_, err := c.api("$JS.API.INFO", nil)
		return err
	}
	postgres := func(ctx context.Context, addr string) error {
		c := newPgConn(ctx, addr, time.Minute)
		defer c.close()
		_, err := c.query("SELECT 1")
		return err
	}
	const info = "INFO {}\r\n"
	cases := []struct {
		ask          func(ctx context.Context, addr string) error
		answer, want string
	}{
		{redis, "", "EOF"},
		{redis, "\r\n", "an empty line"},
		{redis, "HTTP/1.1 400 Bad Request\r\n", "no answer of Redis"},
		{redis, "!3\r\n", "no answer of Redis"},
		{redis, "$9999999\r\n", "9999999 bytes"},
		{redis, "$10\r\nabc", "EOF"},
		{redis, strings.Repeat("+", 5000), "buffer full"},
		{redis, "-ERR no\r\n", "redis answered ERR no"},
		{nats, "", "EOF"},
		{nats, "HELLO\r\n", "no greeting"},
		{nats, info + "-ERR 'Authorization Violation'\r\n", "Authorization Violation"},
		{nats, info + "WHAT\r\n", "not of NATS's protocol"},
		{nats, info + "MSG a 1\r\n", "2 words"},
		{nats, info + "MSG a 1 -5\r\n", "bytes"},
		{nats, info + "MSG a 1 9999999\r\n", "bytes"},
		{nats, info + "MSG a 1 3\r\nab", "EOF"},
		{nats, info + "MSG a 1 3\r\nabc\r\n", "invalid character"},
		{nats, info + "PING\r\n+OK\r\nMSG a 1 40\r\n" + `{"error":{"description":"no such stream"}}`[:40] + "\r\n", "nats $JS.API.INFO answered"},
		{nats, info + "MSG a 1 42\r\n" + `{"error":{"description":"no such stream"}}` + "\r\n", "no such stream"},
		{postgres, "", "EOF"},
		{postgres, "R\x00\x00\x00\x08\x00\x00\x00\x03", "asks for a password"},
		{postgres, "R\x00\x00\x00\x03", "a message of 3 bytes"},
		{postgres, "R\xff\x00\x00\x08", "bytes"},
		{postgres, "E\x00\x00\x00\x10SFATAL\x00Mno\x00\x00", "SFATAL Mno"},
		{postgres, pgReady + "D\x00\x00\x00\x08\x00\x01\x00\x00", "EOF"},
	}
	for _, c := range cases {
		if err := c.ask(t.Context(), answering(t, c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want one with %q", c.answer, err, c.want)
		}
	}
}

func TestPeersAreKnown(t *testing.T) {
	onPath(t, "redis-server")
	infos, err := KnownPeers(t.Context())
	if err != nil || len(infos) != len(PeerNames()) {
		t.Fatalf("%v, %v", infos, err)
	}
	for i, p := range infos {
		if p.Name != PeerNames()[i] || p.Durability == "" || p.Install == "" || (p.Missing == "") != (p.Name == "redis") {
			t.Errorf("%+v", p)
		}
	}
	if some, err := KnownPeers(t.Context(), "nats", "redis"); err != nil || len(some) != 2 || some[0].Name != "redis" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := KnownPeers(t.Context(), "x"); err == nil {
		t.Error("there is a peer x")
	}
	if _, _, err := unpack([]byte("no destination")); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if host, body, err := unpack(pack(nil, "h:1", []byte("a\nb"))); err != nil || host != "h:1" || string(body) != "a\nb" {
		t.Errorf("%s, %s, %v", host, body, err)
	}
	if decodeText([]byte("=")) != nil || !slices.Equal(decodeText([]byte("YWJj")), []byte("abc")) {
		t.Error("text is not decoded as it should")
	}
}
