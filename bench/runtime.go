package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
)

// goRuntime follows the Go runtime of a server by its admin listener: what it allocates
// and what its collector takes while a load is measured (row 19). The two questions that
// it asks around each round cost the server some hundred allocations.
type goRuntime struct {
	admin  string
	before runtimeCount
	each   []runtimeCount // of the rounds
	allocs []float64      // for each message, by round
}

// runtimeCount is what a runtime has counted since its start.
type runtimeCount struct {
	mallocs   float64 // objects
	collector float64 // s of CPU
	all       float64 // s of CPU, of the process
}

var errNoAdmin = errors.New("heap allocations are told by the server's admin listener, and it is not known where that is")

// newGoRuntime fails if nobody listens there.
func newGoRuntime(ctx context.Context, s Server) (*goRuntime, error) {
	if s.Admin == "" {
		return nil, errNoAdmin
	}
	g := &goRuntime{admin: s.Admin}
	_, err := g.count(ctx)
	return g, err
}

// begin and end frame what is measured. A nil goRuntime does nothing.
func (g *goRuntime) begin(ctx context.Context) (err error) {
	if g != nil {
		g.before, err = g.count(ctx)
	}
	return err
}

func (g *goRuntime) end(ctx context.Context) error {
	if g == nil {
		return nil
	}
	now, err := g.count(ctx)
	g.each = append(g.each, runtimeCount{
		now.mallocs - g.before.mallocs, now.collector - g.before.collector, now.all - g.before.all,
	})
	return err
}

// share notes how many messages there were between the last begin and end.
func (g *goRuntime) share(messages int64) {
	if g != nil && messages > 0 {
		g.allocs = append(g.allocs, g.each[len(g.each)-1].mallocs/float64(messages))
	}
}

// count asks. Go counts the objects in its text form of a profile, and the collector's
// time, which is brought up to date when a cycle ends, among its metrics.
func (g *goRuntime) count(ctx context.Context) (c runtimeCount, err error) {
	text, err := askAdmin(ctx, g.admin, "/metrics")
	if err != nil {
		return c, err
	}
	for name, v := range map[string]*float64{
		"go_cpu_classes_gc_total_cpu_seconds_total": &c.collector,
		"process_cpu_seconds_total":                 &c.all,
	} {
		if *v, err = metric(text, name); err != nil {
			return c, err
		}
	}
	if text, err = askAdmin(ctx, g.admin, "/debug/pprof/allocs?debug=1"); err != nil {
		return c, err
	}
	_, rest, found := bytes.Cut(text, []byte("# Mallocs = "))
	number, _, _ := bytes.Cut(rest, []byte("\n"))
	if c.mallocs, err = strconv.ParseFloat(string(number), 64); !found || err != nil {
		return c, fmt.Errorf("/debug/pprof/allocs does not tell how much was allocated: %.100q", number)
	}
	return c, nil
}

// figures are of all rounds. A collector's cycle may be longer apart than a round lasts,
// so its share is one number.
func (g *goRuntime) figures(message string) []Figure {
	if g == nil {
		return nil
	}
	var sum runtimeCount
	for _, c := range g.each {
		sum.collector += c.collector
		sum.all += c.all
	}
	all := []Figure{{Name: "heap allocations of the server for each " + message, Values: g.allocs}}
	if sum.all > 0 {
		all = append(all, Figure{Name: "the collector's share of the server's CPU time", Unit: "%", Values: []float64{100 * sum.collector / sum.all}})
	}
	return all
}
