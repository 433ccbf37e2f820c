package bench

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// peersReport has two runs of the same number of producers.
func peersReport(delivered, published float64) *Report {
	r := testReport()
	r.Scenario, r.Runs = "peers", nil
	side := func(name, durability string, lost int64, rate float64) Side {
		return Side{Name: name, Durability: durability, Lost: lost, Rate: rate, Rounds: []Round{
			{Rate: rate, Messages: 10}, {Rate: rate, Messages: 10}, {Rate: rate, Messages: 10},
		}}
	}
	for i, name := range []string{"end to end", "publish"} {
		r.add(64, []Side{
			side("server", "", 0, []float64{delivered, published}[i]), side("redis", "synced <always>", int64(3*i), 100),
		}, [2]int{0, 1})
		r.Runs[i].Name = name
	}
	r.Peers = []PeerInfo{
		{Name: "redis", Version: "7.0.15", Durability: "synced <always>", Install: "apt-get install redis-server"},
		{Name: "nats", Durability: "synced", Install: "go install nats", Missing: "nats-server is not on PATH"},
	}
	return r
}

func TestPeersInEveryFormat(t *testing.T) {
	r := peersReport(200, 300)
	var text, page, chart bytes.Buffer
	if err := errors.Join(r.WriteText(&text), WriteHTML(&page, r), WriteSVG(&chart, r)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   *bytes.Buffer
		want []string
	}{
		{&text, []string{"end to end c=64  ", "publish c=64  ", "  redis: synced <always>\n", "  redis: synced <always>; LOST 3 messages", "  to install: go install nats"}},
		{&page, []string{"<h3>end to end c=64</h3>", "<h3>publish c=64</h3>", "<li>redis: synced &lt;always&gt;</li>", "LOST 3 messages", "<li>redis 7.0.15</li>", "<li>left out: nats-server is not on PATH</li>"}},
		{&chart, []string{"end to end c=64  server / redis", "publish c=64  server / redis"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.in.String(), want) {
				t.Errorf("%q is not in\n%.3000s", want, c.in)
			}
		}
	}
}

// Comparisons of the same number of producers and the same names are kept apart.
func TestPeersAreCompared(t *testing.T) {
	c, err := Compare(peersReport(200, 300), peersReport(400, 150))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"end to end c=64: server / redis": 2, "publish c=64: server / redis": 0.5,
		"end to end c=64: server rate": 2, "publish c=64: server rate": 0.5,
		"end to end c=64: redis rate": 1, "publish c=64: redis rate": 1,
	}
	for _, d := range c.Rows {
		name := d.Run + ": " + d.What
		if ratio, ok := want[name]; ok && d.Known && d.Ratio == ratio {
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v, among %+v", want, c.Rows)
	}
}
