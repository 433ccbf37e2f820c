package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var benchRow = regexp.MustCompile(`(?m)^   ([0-9, ]+?) {2,}([a-z].*?) {2,}\d+ min$`)

// TestBenchRows: every row has a command, and every command can be run as it stands.
func TestBenchRows(t *testing.T) {
	rows := []int{21} // make bench-history
	for _, line := range benchRow.FindAllStringSubmatch(benchRows, -1) {
		for text := range strings.SplitSeq(line[1], ", ") {
			row, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		c, args, err := newBench(nil).Find(strings.Fields(line[2]))
		if err == nil && len(c.Commands()) > 0 {
			t.Errorf("%s: no such scenario", line[2])
			continue
		}
		if err == nil {
			err = c.ParseFlags(args)
		}
		if err != nil {
			t.Errorf("%s: %v", line[2], err)
		}
	}
	slices.Sort(rows)
	if rows = slices.Compact(rows); len(rows) != 22 || rows[0] != 1 || rows[21] != 22 {
		t.Errorf("rows %v, want 1 to 22", rows)
	}
}
