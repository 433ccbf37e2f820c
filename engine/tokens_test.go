package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/wal/powerfs"
)

func mustToken(t *testing.T, e *Engine, spec TokenSpec) (string, TokenInfo) {
	t.Helper()
	if spec.User == 0 {
		spec.User = 1
	}
	secret, info, err := e.CreateToken(&spec)
	if err != nil {
		t.Fatal(err)
	}
	return secret, info
}

func mustUser(t *testing.T, e *Engine, name string) *NewAccount {
	t.Helper()
	a, err := e.CreateUser(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// authentic says who shows a token, nil for nobody.
func authentic(e *Engine, token string) *Principal {
	p, _ := e.Authenticate([]byte(token))
	return p
}

// TestStands: who was found by a token stands for as long as the token would find the same.
func TestStands(t *testing.T) {
	var now atomic.Int64
	now.Store(1_700_000_000_000)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = func() time.Time { return time.UnixMilli(now.Load()) }
	e := open(t, o)
	check := func(p *Principal, token string) {
		t.Helper()
		if p == nil {
			t.Fatal("nobody")
		}
		if got, want := e.Stands(p), authentic(e, token) == p; got != want {
			t.Errorf("stands: %t; the token would find it: %t", got, want)
		}
	}
	short, _ := mustToken(t, e, TokenSpec{Life: time.Hour})
	long, info := mustToken(t, e, TokenSpec{})
	s, l, first := authentic(e, short), authentic(e, long), authentic(e, testAccount.Token)
	all := func() { t.Helper(); check(s, short); check(l, long); check(first, testAccount.Token) }
	all()
	mustUser(t, e, "another")
	all()
	if !e.Stands(s) || !e.Stands(l) || !e.Stands(first) {
		t.Error("another account ended a token")
	}
	now.Add((2 * time.Hour).Milliseconds())
	all()
	if e.Stands(s) || !e.Stands(l) {
		t.Error("expiry")
	}
	if err := e.RevokeToken(info.ID); err != nil {
		t.Fatal(err)
	}
	all()
	if e.Stands(l) || !e.Stands(first) {
		t.Error("the revoked token stands")
	}
	if e.Stands(new(Principal)) {
		t.Error("nobody stands")
	}
}

// TestTokenForm: workflow clients take a token apart (QSTASH.md §1.2), and nobody guesses
// what is in it (P44).
func TestTokenForm(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	seen := map[string]bool{}
	for range 20 {
		secret, _ := mustToken(t, e, TokenSpec{})
		b, err := base64.StdEncoding.DecodeString(secret)
		if err != nil {
			t.Fatal(err)
		}
		var form struct{ UserID, Password string }
		if err := json.Unmarshal(b, &form); err != nil || form.UserID != "one" || len(form.Password) != passwordDigits || seen[form.Password] {
			t.Fatalf("%s: %v", b, err)
		}
		seen[form.Password] = true
	}
}

// TestDigitsAreUniform draws enough that a biased digit would show: each of 58 is
// expected 2000 times with a deviation of 44.
func TestDigitsAreUniform(t *testing.T) {
	o := Options{}
	o.withDefaults()
	s, err := drawDigits(o.Rand, 58*2000)
	if err != nil {
		t.Fatal(err)
	}
	for _, digit := range alphabet {
		if n := strings.Count(s, string(digit)); n < 1650 || n > 2350 {
			t.Errorf("%q occurs %d times, expected are about 2000", digit, n)
		}
	}
}

// TestTokens follows tokens of two accounts over restarts, with and without the index, to
// their end.
func TestTokens(t *testing.T) {
	fs := vfs.NewMem()
	wall := newTestWall(testMorning)
	o := testOptions(fs, newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	other := mustUser(t, e, "other")
	spec := TokenSpec{
		Name: "of the shop", Access: AccessPublish, Life: time.Hour,
		Queues: []string{"orders"}, Groups: []string{"all"}, Hosts: []string{"*.shop.example", "192.0.2.1"},
	}
	limited, info := mustToken(t, e, spec)
	admin, _ := mustToken(t, e, TokenSpec{User: other.ID, Admin: true})
	want := TokenInfo{
		ID: info.ID, User: 1, Name: spec.Name, Access: AccessPublish, Created: wall.now(), Expires: wall.now().Add(time.Hour),
		Queues: spec.Queues, Groups: spec.Groups, Hosts: spec.Hosts,
	}
	revoked, gone := mustToken(t, e, TokenSpec{Access: AccessRead})
	if p := authentic(e, revoked); p == nil || p.Access != AccessRead || p.Admin {
		t.Fatalf("a token to read is %+v", p)
	}
	if err := e.RevokeToken(gone.ID); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"made", "restarted", "rebuilt"} {
		switch when {
		case "rebuilt":
			closeEngine(t, e)
			if err := fs.RemoveAll("data/index"); err != nil {
				t.Fatal(err)
			}
			e = open(t, o)
		case "restarted":
			closeEngine(t, e)
			e = open(t, o)
		}
		if p := authentic(e, limited); p == nil || p.User != 1 || p.Access != AccessPublish || p.Admin || !p.Limited() ||
			!p.AllowsQueue("orders") || p.AllowsQueue("") || p.AllowsQueue("mails") || !p.AllowsGroup("all") || p.AllowsGroup("some") ||
			!p.AllowsURL("https://a.shop.example/x") || !p.AllowsURL("http://192.0.2.1:81/") || p.AllowsURL("http://shop.example/") {
			t.Fatalf("%s: the limited token is %+v", when, p)
		}
		if p := authentic(e, admin); p == nil || p.User != other.ID || !p.Admin || p.Limited() || !p.AllowsQueue("") || !p.AllowsURL("x") {
			t.Fatalf("%s: the admin's token is %+v", when, p)
		}
		if p := authentic(e, other.Token); p == nil || p.User != other.ID || p.Admin || p.Access != AccessFull {
			t.Fatalf("%s: the other's first token is %+v", when, p)
		}
		if p := authentic(e, testAccount.Token); p == nil || !p.Admin {
			t.Fatalf("%s: the operator's token is %+v", when, p)
		}
		if p := authentic(e, revoked); p != nil {
			t.Fatalf("%s: a revoked token is %+v", when, p)
		}
		if got := e.Tokens(1); len(got) != 2 || !got[0].First || !reflect.DeepEqual(got[1], want) {
			t.Fatalf("%s: tokens %+v, want %+v", when, got, want)
		}
		if got := e.Tokens(0); len(got) != 4 {
			t.Fatalf("%s: all tokens %+v", when, got)
		}
	}
	wall.move(e, time.Hour-time.Millisecond)
	if authentic(e, limited) == nil {
		t.Error("the token expired early")
	}
	wall.move(e, time.Millisecond)
	if authentic(e, limited) != nil {
		t.Error("the token did not expire")
	}
	for _, id := range []string{gone.ID, "", "tok_", "tok_11111111111", info.ID + "x"} {
		if err := e.RevokeToken(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoke %q: %v", id, err)
		}
	}
}

// TestRevokeFirstToken: also the token that an account was made with can be taken away,
// for good.
func TestRevokeFirstToken(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := open(t, o)
	if err := e.RevokeToken(e.Tokens(1)[0].ID); err != nil {
		t.Fatal(err)
	}
	second, _ := mustToken(t, e, TokenSpec{})
	check := func() {
		t.Helper()
		if authentic(e, testAccount.Token) != nil || authentic(e, "") != nil || len(e.Tokens(1)) != 1 {
			t.Errorf("the first token is still there: %+v", e.Tokens(1))
		}
		if authentic(e, second) == nil {
			t.Error("the second token is not there")
		}
		if k, err := e.Keys(1); err != nil || k != testAccount.Keys {
			t.Errorf("the keys are %v, %v", k, err)
		}
	}
	check()
	closeEngine(t, e)
	e = open(t, o)
	check()
}

// TestTokenIsRefused: what could not be meant makes no token.
func TestTokenIsRefused(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	for text, spec := range map[string]TokenSpec{
		"invalid user 9":    {User: 9},
		"invalid name":      {Name: "a\nb"},
		"invalid access":    {Access: 3},
		"invalid expiry":    {Life: -time.Second},
		"invalid expiry: a": {Life: 40_000 * 24 * time.Hour},
		"invalid admin":     {Admin: true, Access: AccessRead},
		"invalid admin: a":  {Admin: true, Hosts: []string{"a.example"}},
		"invalid queues":    {Queues: []string{""}},
		"invalid groups":    {Groups: []string{"g", strings.Repeat("g", 257)}},
		"invalid hosts":     {Hosts: []string{"http://a.example"}},
		"too many limits":   {Queues: slices.Repeat([]string{"q"}, 101)},
	} {
		if spec.User == 0 {
			spec.User = 1
		}
		_, _, err := e.CreateToken(&spec)
		if le, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(le.Text, text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n := len(e.Tokens(0)); n != 1 {
		t.Errorf("there are %d tokens", n)
	}
}

// TestDeleteUser: an account goes with its tokens when it has nothing to lose, and its
// number is never given again.
func TestDeleteUser(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e := open(t, o)
	a, b := mustUser(t, e, "a"), mustUser(t, e, "b")
	second, _ := mustToken(t, e, TokenSpec{User: b.ID})
	if _, err := e.CreateUser("b"); err == nil || !strings.Contains(err.Error(), "account 3 has it") {
		t.Errorf("a name was given twice: %v", err)
	}
	ids := map[string]func() error{}
	id := publish(t, e, Publish{User: b.ID, Delay: time.Hour})
	ids["messages that are pending"] = func() error { return e.Cancel(b.ID, id) }
	s, err := e.DefineSchedule(&Schedule{Cron: "0 0 1 1 *", Message: Publish{User: b.ID, URL: "http://a.example/"}})
	ids["schedules"] = func() error { return e.DeleteSchedule(b.ID, s.ID) }
	_, _, pullErr := e.SetPullQueue(b.ID, "p", PullChange{})
	err = errors.Join(err, pullErr, e.SetQueue(b.ID, "q", QueueChange{}), e.AddEndpoints(b.ID, "g", endpoints("x")), e.PauseFlow(b.ID, "k"))
	if err != nil {
		t.Fatal(err)
	}
	ids["queues"] = func() error { return e.DeleteQueue(b.ID, "q") }
	ids["pull queues"] = func() error { return e.DeletePullQueue(b.ID, "p") }
	ids["URL groups"] = func() error { return e.DeleteGroup(b.ID, "g") }
	ids["flow-control keys"] = func() error { return e.ResumeFlow(b.ID, "k") }
	for what, remove := range ids {
		if err := e.DeleteUser(b.ID); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), what) || authentic(e, b.Token) == nil {
			t.Errorf("with %s: %v", what, err)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []UserID{1, 77} {
		if err := e.DeleteUser(u); err == nil {
			t.Errorf("account %d was deleted", u)
		}
	}
	if err := e.DeleteUser(b.ID); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"deleted", "restarted", "rebuilt"} {
		if when != "deleted" {
			closeEngine(t, e)
			if when == "rebuilt" {
				if err := fs.RemoveAll("data/index"); err != nil {
					t.Fatal(err)
				}
			}
			e = open(t, o)
		}
		if authentic(e, b.Token) != nil || authentic(e, second) != nil || authentic(e, a.Token) == nil || len(e.Accounts()) != 2 || len(e.Tokens(0)) != 2 {
			t.Fatalf("%s: accounts %+v, tokens %+v", when, e.Accounts(), e.Tokens(0))
		}
		if _, err := e.Keys(b.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: its keys: %v", when, err)
		}
		if err := e.DeleteUser(b.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: deleted again: %v", when, err)
		}
	}
	if c := mustUser(t, e, "b"); c.ID != b.ID+1 {
		t.Errorf("the next account is %d, after %d", c.ID, b.ID)
	}
}

// TestReclaimKeepsTokens: tokens, revocations and numbers given survive the segments in
// which they were logged, over several rounds and a rebuild of the index.
func TestReclaimKeepsTokens(t *testing.T) {
	fs := vfs.NewMem()
	o := reclaimOptions(fs, newFakeWire())
	o.reclaimEvery = time.Hour
	e := open(t, o)
	gone := mustUser(t, e, "gone")
	var kept []string
	for i := range 5 {
		secret, _ := mustToken(t, e, TokenSpec{Name: fmt.Sprint(i), Hosts: []string{"a.example"}})
		kept = append(kept, secret)
	}
	revoked, info := mustToken(t, e, TokenSpec{User: gone.ID})
	if err := errors.Join(e.RevokeToken(info.ID), e.DeleteUser(gone.ID)); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		before := e.log.Stats().Records
		if err := errors.Join(e.log.Rotate(), e.idx.Flush()); err != nil {
			t.Fatal(err)
		}
		segments := e.log.Segments()
		for range 2 { // a segment may be looked at twice
			if complete, err := e.evacuate(segments[0], e.moveAndWait); !complete || err != nil {
				t.Fatalf("complete %v: %v", complete, err)
			}
		}
		if n := e.log.Stats().Records - before; n != 7 { // five tokens, an account, a deletion
			t.Errorf("round %d: %d records were copied", round, n)
		}
		if err := errors.Join(e.giveUp(segments[1].First), e.log.Rotate()); err != nil {
			t.Fatal(err)
		}
		closeEngine(t, e)
		if err := fs.RemoveAll("data/index"); err != nil {
			t.Fatal(err)
		}
		e = open(t, o)
		for i, secret := range kept {
			if p := authentic(e, secret); p == nil || p.AllowsURL("http://b.example/") {
				t.Fatalf("round %d: token %d is %+v", round, i, p)
			}
		}
		if authentic(e, revoked) != nil || authentic(e, gone.Token) != nil || len(e.Accounts()) != 1 {
			t.Fatalf("round %d: what was deleted is there again", round)
		}
	}
	if a := mustUser(t, e, "new"); a.ID != gone.ID+1 {
		t.Errorf("number %d was given, after %d", a.ID, gone.ID)
	}
}

// TestDevTokens: the development users authenticate only where they are accepted, what
// else they were given included.
func TestDevTokens(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	const id = 1<<31 + 1
	if err := e.Bootstrap([]Account{{ID: id, Name: "dev", Dev: true, Token: "dev"}, {ID: id + 1, Name: "dev2", Dev: true, Token: "dev2"}}); err != nil {
		t.Fatal(err)
	}
	second, _ := mustToken(t, e, TokenSpec{User: id})
	for _, token := range []string{"dev", "dev2", second} {
		if authentic(e, token) != nil {
			t.Errorf("%s is accepted", token)
		}
	}
	e.AcceptDev(true)
	if p := authentic(e, "dev"); p == nil || !p.Admin {
		t.Errorf("the first development user is %+v", p)
	}
	if p := authentic(e, "dev2"); p == nil || p.Admin {
		t.Errorf("the second development user is %+v", p)
	}
	if authentic(e, second) == nil {
		t.Error("the second token of a development user is refused")
	}
	for _, i := range e.Tokens(id + 1) {
		if err := e.RevokeToken(i.ID); err == nil {
			t.Error("a published token was revoked")
		}
	}
	if err := e.DeleteUser(id + 1); err == nil {
		t.Error("a development user was deleted")
	}
	if a := mustUser(t, e, "real"); a.ID != 2 {
		t.Errorf("the second account is %d", a.ID)
	}
}

// TestAuthenticateDoesNotAllocate: it is called for every request.
func TestAuthenticateDoesNotAllocate(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	secret, _ := mustToken(t, e, TokenSpec{Life: time.Hour, Hosts: []string{"*.a.example"}})
	token := []byte(secret)
	if n := testing.AllocsPerRun(100, func() {
		if p, ok := e.Authenticate(token); !ok || !p.AllowsQueue("q") {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
