package wal

import (
	"errors"
	"slices"
	"testing"
)

// TestReadAhead: groups come in order, each is released once, and nothing goes on after an
// end, whichever half has come to it. Stretches are of ten groups here.
func TestReadAhead(t *testing.T) {
	const groups, end = 95, 42
	scanFails, useFails := errors.New("scan"), errors.New("use")
	cases := []struct {
		name             string
		scanUntil, until int // where one of them fails
		want             error
		seen             int
	}{
		{"all of it", groups, groups, nil, groups},
		{"nothing to read", 0, groups, scanFails, 0},
		{"the scan fails", end, groups, scanFails, end},
		{"its user fails", groups, end, useFails, end + 1},
		{"its user fails at once", groups, 0, useFails, 1},
		{"both fail", end + 1, end, useFails, end + 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := new(Log)
			var made []*Group
			var seen []int
			err := readAhead(func(give func(*Group) error) error {
				for i := range groups {
					if i == c.scanUntil {
						return scanFails
					}
					g := newGroup(stretchBytes / 10)
					g.log, g.count = l, i
					g.refs.Store(1)
					made = append(made, g)
					if err := give(g); err != nil {
						return err
					}
				}
				return nil
			}, func(g *Group) error {
				if g.refs.Load() != 1 {
					t.Errorf("group %d has %d references", g.count, g.refs.Load())
				}
				seen = append(seen, g.count)
				if g.count == c.until {
					return useFails
				}
				return nil
			})
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if len(seen) != c.seen || !slices.IsSorted(seen) {
				t.Errorf("seen %v, want %d", seen, c.seen)
			}
			for _, g := range made {
				if n := g.refs.Load(); n != 0 {
					t.Errorf("group %d has %d references", g.count, n)
				}
			}
		})
	}
}
