package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestGroupCommitTable prints the table of group commit (W4) when TIDEMILL_BENCH
// is set: for each number of producers and each size the rate of durable appends,
// the syncs per record, and two ratios to the bare disk. All sides are measured
// one after the other in every round, since the rates of shared machines swing
// twofold between minutes and only ratios of the same moment mean something.
// Medians over the rounds, with minimum and maximum.
//
// It asserts nothing about speed.
func TestGroupCommitTable(t *testing.T) {
	if os.Getenv("TIDEMILL_BENCH") == "" {
		t.Skip("a measurement of half a minute: set TIDEMILL_BENCH=1")
	}
	dir := t.TempDir()
	bare := newBareFile(t, dir)
	var cells []*tableCell
	for _, size := range appendSizes {
		l := mustOpen(t, Options{Dir: filepath.Join(dir, fmt.Sprint(size)), OnCommit: func(*Group) {}})
		defer mustClose(t, l)
		for _, producers := range appendProducers {
			cells = append(cells, &tableCell{log: l, producers: producers, size: size})
		}
	}
	const rounds = 5
	for round := range rounds + 1 {
		for _, c := range cells {
			c.measure(t, bare)
			if round == 0 { // warms up, and the spares are made meanwhile
				c.rate, c.syncs, c.single, c.same, c.bare = nil, nil, nil, nil, nil
			}
		}
	}
	fmt.Println("| size | producers | appends/s | syncs/record | bare pwrite+fdatasync/s | x bare, record by record | x bare, same groups |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, c := range cells {
		fmt.Printf("| %d | %d | %s | %s | %s | %s | %s |\n", c.size, c.producers,
			spread(c.rate, 0), spread(c.syncs, 3), spread(c.bare, 0), spread(c.single, 2), spread(c.same, 2))
	}
}

// tableCell is one line of the table, with a figure per round.
type tableCell struct {
	log             *Log
	producers, size int

	rate   []float64 // appends per second
	syncs  []float64 // per record
	bare   []float64 // writes of one record, each with its sync, per second
	single []float64 // rate over bare
	same   []float64 // rate over what the disk alone gives with the log's own writes
}

func (c *tableCell) measure(t *testing.T, bare *bareFile) {
	const long = 200 * time.Millisecond
	before, start := c.log.Stats(), time.Now()
	end := start.Add(long)
	appendAll(t, c.log, c.producers, c.size, func() bool { return time.Now().Before(end) })
	took, after := time.Since(start).Seconds(), c.log.Stats()
	records, syncs := float64(after.Records-before.Records), float64(after.Syncs-before.Syncs)
	rate := records / took
	group := int(float64(after.WrittenBytes-before.WrittenBytes) / syncs)
	one := bare.rate(t, c.size, long/2)
	c.rate = append(c.rate, rate)
	c.syncs = append(c.syncs, syncs/records)
	c.bare = append(c.bare, one)
	c.single = append(c.single, rate/one)
	c.same = append(c.same, rate/(bare.rate(t, group, long/2)*records/syncs))
}

// spread is the median, and the extremes.
func spread(values []float64, digits int) string {
	s := slices.Sorted(slices.Values(values))
	return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, s[len(s)/2], digits, s[0], digits, s[len(s)-1])
}
