package engine

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

func TestRenameGroup(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := openGroup(t, o, "n=a", "b")
	header := []Header{{Name: "Upstash-Retries", Value: "1"}}
	if err := e.SetGroupHeader(1, "g", header); err != nil {
		t.Fatal(err)
	}
	if err := e.AddEndpoints(1, "taken", endpoints("c")); err != nil {
		t.Fatal(err)
	}
	before := mustGroup(t, e, "g")
	for _, c := range []struct{ old, name string }{{"g", "taken"}, {"g", ""}, {"none", "new"}} {
		if err := e.RenameGroup(1, c.old, c.name); err == nil {
			t.Errorf("%s was renamed to %q", c.old, c.name)
		}
	}
	if err := e.RenameGroup(1, "g", "g"); err != nil || !reflect.DeepEqual(mustGroup(t, e, "g"), before) {
		t.Errorf("renamed to itself: %v, %+v", err, mustGroup(t, e, "g"))
	}
	if err := e.RenameGroup(1, "g", "new"); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"renamed", "restarted"} {
		g := mustGroup(t, e, "new")
		if !slices.Equal(g.Endpoints, before.Endpoints) || !slices.Equal(g.Header, header) || !g.Created.Equal(before.Created) {
			t.Errorf("%s: %+v, before it was %+v", when, g, before)
		}
		if _, err := e.Group(1, "g"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: the old name: %v", when, err)
		}
		closeEngine(t, e)
		e = open(t, o)
	}
}

// TestRemoveEndpoint: the group stays without endpoints, over a restart.
func TestRemoveEndpoint(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := openGroup(t, o, "n=a", "b")
	for i, left := range [][]Endpoint{endpoints("b"), endpoints("b"), {}} {
		if err := e.RemoveEndpoint(1, "g", endpoints("a", "none", "b")[i].URL); err != nil {
			t.Fatal(err)
		}
		if g := mustGroup(t, e, "g"); !slices.Equal(g.Endpoints, left) {
			t.Errorf("left are %v, want %v", g.Endpoints, left)
		}
	}
	if err := e.RemoveEndpoint(1, "none", "http://a.example/"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no group: %v", err)
	}
	closeEngine(t, e)
	e = open(t, o)
	if g := mustGroup(t, e, "g"); len(g.Endpoints) != 0 {
		t.Errorf("after a restart: %v", g.Endpoints)
	}
}

// TestGroupCreated: the time of its creation is a group's own, over its names and restarts.
func TestGroupCreated(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := openGroup(t, o, "a")
	for _, name := range []string{"h", "i"} { // within the same millisecond
		if err := e.AddEndpoints(1, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.RenameGroup(1, "h", "renamed"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	e = open(t, o)
	if err := e.AddEndpoints(1, "h", nil); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"g", "renamed", "i", "h"} {
		at := testMorning.Add(time.Duration(i) * time.Millisecond)
		g, err := e.GroupCreated(1, at)
		if err != nil || g.Name != name || !g.Created.Equal(at) {
			t.Errorf("created at %s: %+v, %v, want %s", at, g, err, name)
		}
		if _, err := e.GroupCreated(2, at); !errors.Is(err, ErrNotFound) {
			t.Errorf("of another account: %v", err)
		}
	}
	if g, err := e.GroupCreated(1, testMorning.Add(time.Second)); !errors.Is(err, ErrNotFound) {
		t.Errorf("created at no group's time: %+v, %v", g, err)
	}
}
