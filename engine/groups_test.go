package engine

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// endpoints makes endpoints of "url" or "name=url".
func endpoints(texts ...string) []Endpoint {
	out := make([]Endpoint, len(texts))
	for i, s := range texts {
		name, host, ok := strings.Cut(s, "=")
		if !ok {
			name, host = "", s
		}
		out[i].Name = name
		if host != "" {
			out[i].URL = "http://" + host + ".example/"
		}
	}
	return out
}

func mustGroup(t *testing.T, e *Engine, name string) *GroupInfo {
	t.Helper()
	g, err := e.Group(1, name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestUpsertEndpoints(t *testing.T) {
	for _, c := range []struct {
		name           string
		has, add, want []Endpoint
	}{
		{"order of insertion", endpoints("b"), endpoints("c", "a"), endpoints("b", "c", "a")},
		{"the same again", endpoints("a", "n=b"), endpoints("n=b", "a"), endpoints("a", "n=b")},
		{"a new name", endpoints("a", "n=b"), endpoints("m=b"), endpoints("a", "m=b")},
		{"a new URL", endpoints("n=a", "b"), endpoints("n=c"), endpoints("n=c", "b")},
		{"a name for one without", endpoints("a", "b"), endpoints("n=a"), endpoints("n=a", "b")},
		{"no name leaves the name", endpoints("n=a"), endpoints("a"), endpoints("n=a")},
		{"name and URL of two", endpoints("x", "n=a", "y", "m=b"), endpoints("m=a"), endpoints("x", "y", "m=a")},
		{"name and URL of two, the other way", endpoints("m=b", "x", "n=a"), endpoints("m=a"), endpoints("m=a", "x")},
		{"twice in one call", nil, endpoints("n=a", "n=b", "m=b"), endpoints("m=b")},
		{"many without a name", nil, endpoints("a", "b", "c"), endpoints("a", "b", "c")},
	} {
		var got []record.Endpoint
		for _, ep := range append(slices.Clone(c.has), c.add...) {
			got = upsert(got, record.Endpoint(ep))
		}
		if want := records(c.want); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}

func records(es []Endpoint) (out []record.Endpoint) {
	for _, ep := range es {
		out = append(out, record.Endpoint(ep))
	}
	return out
}

// TestGroup follows one group from its first endpoint over changes and a restart to its
// end, and after it.
func TestGroup(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	if err := e.AddEndpoints(1, "g", endpoints("n=a", "b")); err != nil {
		t.Fatal(err)
	}
	wall.move(e, time.Minute)
	header := []Header{{Name: "Upstash-Retries", Value: "1"}, {Name: "Upstash-Header-Forward", Value: "true"}}
	if err := e.SetGroupHeader(1, "g", header); err != nil {
		t.Fatal(err)
	}
	want := GroupInfo{
		Name: "g", Created: testMorning.Local(), Updated: wall.now(), Endpoints: endpoints("n=a", "b"), Header: header,
	}
	check := func(when string) {
		t.Helper()
		if g := mustGroup(t, e, "g"); !reflect.DeepEqual(*g, want) {
			t.Errorf("%s: %+v, want %+v", when, *g, want)
		}
	}
	check("made")
	wall.move(e, time.Minute)
	if err := e.AddEndpoints(1, "g", endpoints("a", "n=a")); err != nil {
		t.Fatal(err)
	}
	check("nothing changed")
	mustGroup(t, e, "g").Endpoints[0].Name = "mine" // a copy
	mustGroup(t, e, "g").Header[0].Value = "mine"
	check("its owner wrote into what it got")
	closeEngine(t, e)
	e = open(t, o)
	check("restarted")

	for _, c := range []struct{ remove, left []Endpoint }{
		{endpoints("m=b", "c"), endpoints("n=a", "b")}, // neither is there
		{endpoints("n="), endpoints("b")},
	} {
		if err := e.RemoveEndpoints(1, "g", c.remove); err != nil {
			t.Fatal(err)
		}
		if g := mustGroup(t, e, "g"); !slices.Equal(g.Endpoints, c.left) {
			t.Errorf("without %v: %v, want %v", c.remove, g.Endpoints, c.left)
		}
	}
	if err := e.RemoveEndpoints(1, "g", endpoints("b")); err != nil {
		t.Fatal(err)
	}
	gone := func() {
		t.Helper()
		_, err := e.Group(1, "g")
		if !errors.Is(err, ErrNotFound) || err.Error() != "topic g not found" {
			t.Errorf("get: %v", err)
		}
		if err := e.RemoveEndpoints(1, "g", endpoints("a")); !errors.Is(err, ErrNotFound) {
			t.Errorf("remove: %v", err)
		}
		if err := e.DeleteGroup(1, "g"); err != nil {
			t.Errorf("delete: %v", err)
		}
		if gs, err := e.Groups(1); err != nil || len(gs) != 0 {
			t.Errorf("list: %v, %v", gs, err)
		}
	}
	gone()
	closeEngine(t, e)
	e = open(t, o)
	gone()

	if err := e.SetGroupHeader(1, "g", header[:1]); err != nil { // as good a beginning as an endpoint
		t.Fatal(err)
	}
	want = GroupInfo{Name: "g", Created: wall.now(), Updated: wall.now(), Endpoints: []Endpoint{}, Header: header[:1]}
	check("made anew")
	if err := e.SetGroupHeader(1, "g", nil); err != nil {
		t.Fatal(err)
	}
	want.Header = nil
	check("without options")
	if err := e.DeleteGroup(1, "g"); err != nil {
		t.Fatal(err)
	}
	gone()
}

// TestGroupsBelongToAccounts: the same name in two accounts is two groups.
func TestGroupsBelongToAccounts(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	for u := range UserID(2) {
		for _, name := range []string{"b", "a"} {
			if err := e.AddEndpoints(u+1, name, endpoints(fmt.Sprint("u", u+1, name))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.DeleteGroup(2, "a"); err != nil {
		t.Fatal(err)
	}
	for u, want := range map[UserID]string{1: "a [{http://u1a.example/ }] b [{http://u1b.example/ }]", 2: "b [{http://u2b.example/ }]", 3: ""} {
		gs, err := e.Groups(u)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range gs {
			got = append(got, fmt.Sprint(g.Name, " ", g.Endpoints))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("account %d has %s, want %s", u, s, want)
		}
	}
}

// TestGroupBounds: what is refused names the field, and changes nothing, in memory as
// little as in the log.
func TestGroupBounds(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := open(t, o)
	many := func(n int) (out []Endpoint) {
		for i := range n {
			out = append(out, endpoints(fmt.Sprintf("n%d=h%d", i, i))...)
		}
		return out
	}
	long := func(n int) []Endpoint { return []Endpoint{{URL: "http://a.example/", Name: strings.Repeat("n", n-17)}} }
	if err := e.AddEndpoints(1, "full", many(GroupEndpointsMax)); err != nil {
		t.Fatal(err)
	}
	if err := e.AddEndpoints(1, "long", long(groupTextMax)); err != nil {
		t.Fatal(err)
	}
	header := func(n int) []Header { return []Header{{Name: "N", Value: strings.Repeat("v", n-1)}} }
	if err := e.SetGroupHeader(1, "long", header(groupHeaderMax)); err != nil {
		t.Fatal(err)
	}
	before := mustGroups(t, e)
	for _, c := range []struct {
		want   string // how it begins
		change func() error
	}{
		{"412 quota maxEndpointsPerTopic exceeded. Maximum allowed: 100", func() error { return e.AddEndpoints(1, "full", endpoints("one.more")) }},
		{"400 invalid endpoints: the URLs and names of topic long together", func() error { return e.AddEndpoints(1, "long", endpoints("b")) }},
		{"400 invalid endpoints: the URLs and names of topic new together", func() error { return e.AddEndpoints(1, "new", long(groupTextMax+1)) }},
		{"400 invalid endpoints[1].url: ", func() error {
			return e.AddEndpoints(1, "new", append(endpoints("a"), Endpoint{URL: "ftp://a.example/"}))
		}},
		{"400 invalid endpoints[0].url: ", func() error { return e.AddEndpoints(1, "new", endpoints("name=")) }},
		{"400 invalid endpoints[1]: it must have a url or a name", func() error { return e.RemoveEndpoints(1, "full", endpoints("h1", "")) }},
		{"400 invalid topic name: it must be of 1 to 256 bytes", func() error { return e.AddEndpoints(1, "", endpoints("a")) }},
		{"400 invalid topic name: it must be of 1 to 256 bytes", func() error { return e.SetGroupHeader(1, strings.Repeat("g", GroupNameMax+1), nil) }},
		{"400 invalid headers: the names and values of topic long together", func() error { return e.SetGroupHeader(1, "long", header(groupHeaderMax+1)) }},
		{"412 quota maxTopics exceeded. Maximum allowed: 100000", func() error { return pretend(e, GroupsMax-2, 0, "new") }},
		{"412 quota of the topics' endpoints and headers exceeded. Maximum", func() error { return pretend(e, 0, groupsWeightMax, "new") }},
		{"412 quota of the topics' endpoints and headers exceeded. Maximum", func() error { return pretend(e, 0, groupsWeightMax, "full") }},
	} {
		got := ""
		if limit, ok := errors.AsType[*LimitError](c.change()); ok {
			got = map[bool]string{true: "412 ", false: "400 "}[limit.Quota] + limit.Text
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if now := mustGroups(t, e); !reflect.DeepEqual(now, before) {
		t.Errorf("what was refused changed %d groups into %d, or one of them", len(before), len(now))
	}
	if err := pretend(e, GroupsMax-3, 0, "last"); err != nil { // the bounds themselves are allowed
		t.Error(err)
	}
	if err := e.DeleteGroup(1, "last"); err != nil {
		t.Error(err)
	}
	count, bytes := e.groups.size()
	closeEngine(t, e)
	e = open(t, o)
	if now := mustGroups(t, e); !reflect.DeepEqual(now, before) {
		t.Errorf("after a restart there are %d groups, want %d, or one of them is another", len(now), len(before))
	}
	if c, b := e.groups.size(); c != count || b != bytes {
		t.Errorf("%d groups of weight %d after a restart, %d of %d before", c, b, count, bytes)
	}
}

func mustGroups(t *testing.T, e *Engine) []GroupInfo {
	t.Helper()
	gs, err := e.Groups(1)
	if err != nil {
		t.Fatal(err)
	}
	return gs
}

// pretend adds an endpoint to a group as if there were more groups than there are.
func pretend(e *Engine, count, bytes int, name string) error {
	add := func(sign int) {
		e.groups.mu.Lock()
		defer e.groups.mu.Unlock()
		e.groups.mu.count += sign * count
		e.groups.mu.bytes += sign * bytes
	}
	add(1)
	defer add(-1)
	if name == "full" {
		return e.SetGroupHeader(1, name, []Header{{Name: "N", Value: "v"}})
	}
	return e.AddEndpoints(1, name, endpoints("a"))
}

// TestGroupsKeepNothingOfTheRequest: texts that the caller writes over are copies.
func TestGroupsKeepNothingOfTheRequest(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	alias := func(b []byte) string { return unsafe.String(&b[0], len(b)) }
	raw := []byte("namehttp://a.example/headvalu")
	es := []Endpoint{{Name: alias(raw[:4]), URL: alias(raw[4:21])}}
	if err := e.AddEndpoints(1, alias(raw[:4]), es); err != nil {
		t.Fatal(err)
	}
	if err := e.SetGroupHeader(1, alias(raw[:4]), []Header{{Name: alias(raw[21:25]), Value: alias(raw[25:])}}); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] = 'x'
	}
	g := mustGroup(t, e, "name")
	if got := fmt.Sprint(g.Name, g.Endpoints, g.Header); got != "name[{http://a.example/ name}] [{head valu}]" {
		t.Error(got)
	}
}

// TestGroupsSurviveReclaiming: the segments in which groups were defined go, the groups
// stay, also when the index is rebuilt from what is left, and what was deleted stays so.
func TestGroupsSurviveReclaiming(t *testing.T) {
	fs := vfs.NewMem()
	o := reclaimOptions(fs, newFakeWire())
	o.reclaimEvery = time.Hour // by hand
	e := open(t, o)
	for i := range 700 { // more than a batch of copies
		if err := e.AddEndpoints(1, fmt.Sprintf("g%03d", i), endpoints(fmt.Sprintf("n=h%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		if err := errors.Join(e.AddEndpoints(1, "g000", endpoints(fmt.Sprint("n=again", i))), e.DeleteGroup(1, fmt.Sprintf("g69%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	want, size := mustGroups(t, e), int64(0)
	for _, g := range e.groups.of(1) {
		size += int64(g.len)
	}
	for range 3 {
		first := e.log.First()
		giveUpAll(t, e)
		if e.log.First() == first {
			t.Fatal("nothing was given up")
		}
		if moved := e.reclaimer.moved.Load(); moved > size*5/4 {
			t.Errorf("%d bytes of copies of %d: some were copied twice", moved, size)
		}
		if got := mustGroups(t, e); !reflect.DeepEqual(got, want) {
			t.Fatalf("%d groups after reclaiming, want %d, or one of them is another", len(got), len(want))
		}
		closeEngine(t, e)
		if err := fs.RemoveAll("data/index"); err != nil {
			t.Fatal(err)
		}
		e = open(t, o)
		if got := mustGroups(t, e); !reflect.DeepEqual(got, want) {
			t.Fatalf("%d groups after a rebuild, want %d, or one of them is another", len(got), len(want))
		}
	}
}

// giveUpAll has the log give up every segment but the last, whatever that costs.
func giveUpAll(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.log.Rotate(); err != nil {
		t.Fatal(err)
	}
	filler := Endpoint{URL: "http://a.example/", Name: e.log.Durable().LSN.String()}
	if err := errors.Join(e.AddEndpoints(2, "filler", []Endpoint{filler}), e.catchUp(), e.idx.Flush()); err != nil {
		t.Fatal(err)
	}
	segments := e.log.Segments()
	for _, s := range segments[:len(segments)-1] {
		for range 2 { // a segment is looked at again when a round was not complete
			if complete, err := e.evacuate(s, e.moveAndWait); !complete || err != nil {
				t.Fatalf("segment %v: complete %v, %v", s.First, complete, err)
			}
			if err := e.catchUp(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.giveUp(segments[len(segments)-1].First); err != nil {
		t.Fatal(err)
	}
	if err := e.log.Rotate(); err != nil { // which carries the floor
		t.Fatal(err)
	}
}

// TestGroupsAreWhatAMapSays: random changes, restarts and rounds of reclaiming against a
// map of lists. Each history has an account of its own, in one engine for all.
func TestGroupsAreWhatAMapSays(t *testing.T) {
	fs := vfs.NewMem()
	o := reclaimOptions(fs, newFakeWire())
	o.reclaimEvery = time.Hour
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { closeEngine(t, e) }()
	user := UserID(10)
	rapid.Check(t, func(r *rapid.T) {
		user++
		m := groupModel{}
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		some := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Endpoint {
			return endpoints(rapid.SampledFrom([]string{"", "n=", "m=", "o="}).Draw(r, "name") + rapid.SampledFrom([]string{"u", "v", "w", "x"}).Draw(r, "url"))[0]
		}), 0, 4)
		rarely := func(r *rapid.T) {
			if rapid.IntRange(0, 49).Draw(r, "rarely") != 0 {
				r.Skip()
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				n, es := name.Draw(r, "group"), some.Draw(r, "endpoints")
				if err := e.AddEndpoints(user, n, es); err != nil {
					r.Fatal(err)
				}
				m.add(n, es)
			},
			"remove": func(r *rapid.T) {
				n, es := name.Draw(r, "group"), some.Draw(r, "endpoints")
				if err := e.RemoveEndpoints(user, n, es); (err == nil) != m.remove(n, es) {
					r.Fatal(err)
				}
			},
			"delete": func(r *rapid.T) {
				n := name.Draw(r, "group")
				delete(m, n)
				if err := e.DeleteGroup(user, n); err != nil {
					r.Fatal(err)
				}
			},
			"restart": func(r *rapid.T) {
				rarely(r)
				closeEngine(t, e)
				if rapid.Bool().Draw(r, "rebuild") {
					if err := fs.RemoveAll("data/index"); err != nil {
						r.Fatal(err)
					}
				}
				if e, err = Open(o); err != nil {
					t.Fatal(err)
				}
			},
			"reclaim": func(r *rapid.T) {
				rarely(r)
				giveUpAll(t, e)
			},
			"": func(r *rapid.T) {
				gs, err := e.Groups(user)
				if err != nil {
					r.Fatal(err)
				}
				got := groupModel{}
				for _, g := range gs {
					got[g.Name] = g.Endpoints
				}
				if !reflect.DeepEqual(got, m) {
					r.Fatalf("the engine has %v, the model %v", got, m)
				}
			},
		})
	})
}

// groupModel is groups in the plainest words.
type groupModel map[string][]Endpoint

func (m groupModel) add(name string, es []Endpoint) {
	list := m[name]
	if list == nil {
		list = []Endpoint{}
	}
	for _, ep := range es {
		list = addToModel(list, ep)
	}
	m[name] = list
}

// addToModel: whoever shares a URL or a name with the new one goes, and the new one
// stands where the one with its name stood, else where the one with its URL stood, else
// last.
func addToModel(list []Endpoint, ep Endpoint) []Endpoint {
	at, named := -1, false
	for i, x := range list {
		switch {
		case x.URL == ep.URL && ep.Name == "":
			return list
		case x.Name == ep.Name && x.Name != "":
			at, named = i, true
		case x.URL == ep.URL && !named:
			at = i
		}
	}
	if at < 0 {
		return append(list, ep)
	}
	var out []Endpoint
	for i, x := range list {
		if i == at {
			out = append(out, ep)
		} else if x.URL != ep.URL && (x.Name == "" || x.Name != ep.Name) {
			out = append(out, x)
		}
	}
	return out
}

func (m groupModel) remove(name string, es []Endpoint) (found bool) {
	if m[name] == nil {
		return false
	}
	m[name] = slices.DeleteFunc(m[name], func(x Endpoint) bool {
		return slices.ContainsFunc(es, func(y Endpoint) bool { return y.URL == x.URL && cmp.Or(y.Name, x.Name) == x.Name })
	})
	if len(m[name]) == 0 {
		delete(m, name)
	}
	return true
}
