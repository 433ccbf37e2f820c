package metrics

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "github.com/oasdiff/yaml3"
)

// metricName finds what is a metric's name in an expression.
var metricName = regexp.MustCompile(`\b(?:tidemill|go|process)_[a-z0-9_]+`)

// problems are what is wrong with an expression: names that are in no table of the
// handbook, types that do not fit their use, and labels that a metric does not have.
func problems(known map[string]string, expr string) (out []string) {
	names := metricName.FindAllString(expr, -1)
	if len(names) == 0 && !strings.HasPrefix(expr, "up{") {
		out = append(out, "no metric")
	}
	for _, name := range names {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if cut, ok := strings.CutSuffix(name, suffix); ok && known[name] == "" {
				base = cut
			}
		}
		switch r := known[base]; {
		case r == "":
			out = append(out, "there is no "+name)
		case strings.Contains(r, "| histogram |") != (base != name):
			out = append(out, name+" is a histogram, or is none")
		case strings.Contains(r, "| counter |") && !inRange(expr, name):
			out = append(out, name+" is a counter, which says nothing by itself")
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
		out = append(out, "brackets")
	}
	return append(out, wrongLabels(known, expr)...)
}

// inRange says whether a series is used as a range, as in rate(x{...}[5m]).
func inRange(expr, name string) bool {
	_, rest, _ := strings.Cut(expr, name)
	if strings.HasPrefix(rest, "{") {
		_, rest, _ = strings.Cut(rest, "}")
	}
	return strings.HasPrefix(rest, "[")
}

// selectors finds those that name labels.
var selectors = regexp.MustCompile(`(tidemill_[a-z0-9_]+)\{([^}]*)\}`)

func wrongLabels(known map[string]string, expr string) (out []string) {
	for _, m := range selectors.FindAllStringSubmatch(expr, -1) {
		cells := strings.Split(known[strings.TrimSuffix(m[1], "_bucket")], " | ")
		if len(cells) < 4 {
			continue // that is a problem already
		}
		labels := append(strings.Split(cells[2], ", "), "instance", "job")
		for part := range strings.SplitSeq(m[2], ",") {
			name, _, _ := strings.Cut(part, `"`)
			if name = strings.TrimRight(name, `=~!`); !slices.Contains(labels, name) {
				out = append(out, m[1]+" has no label "+name)
			}
		}
	}
	return out
}

// check fails for what is wrong with an expression.
func check(t *testing.T, known map[string]string, where, expr string) {
	t.Helper()
	for _, p := range problems(known, expr) {
		t.Errorf("%s: %s: %s", where, p, expr)
	}
}

// TestAlerts: the rules are such as Prometheus reads, and ask for metrics that there are.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	known, seen := handbook(t), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			check(t, known, r.Alert, r.Expr)
			if seen[r.Alert] {
				t.Errorf("%s is there twice", r.Alert)
			}
			seen[r.Alert] = true
			if s := r.Labels["severity"]; s != "warning" && s != "critical" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: says too little", r.Alert)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d alerts", len(seen))
	}
}

// TestBoard: so for Grafana's board.
func TestBoard(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ RefID, Expr string }
	var board struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []target
		}
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	known := handbook(t)
	rows, ids, ends := map[string]bool{}, map[int]bool{}, map[int]int{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("%s: two panels are %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X < ends[p.GridPos.Y] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s lies over its neighbour", p.Title)
		}
		ends[p.GridPos.Y] = p.GridPos.X + p.GridPos.W
		if p.Type == "row" {
			rows[p.Title] = true
		} else if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, g := range p.Targets {
			check(t, known, p.Title, g.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		check(t, known, a.Name, a.Expr)
	}
	for _, v := range board.Templating.List {
		if v.Definition != "" {
			check(t, known, v.Name, v.Definition)
		}
	}
	want := []string{"Dead letters and damage", "Disk", "Hosts", "Latency", "Process", "Queues and schedules", "Traffic"}
	if got := slices.Sorted(maps.Keys(rows)); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

// TestProblems: the checks find what they are for.
func TestProblems(t *testing.T) {
	known := handbook(t)
	for _, expr := range []string{
		`tidemill_no_such_metric > 0`, `rate(tidemill_attempt_lateness_seconds[5m])`, `tidemill_attempts_total > 1`,
		`1 > 0`, `sum(tidemill_ready`, `tidemill_hosts{host="a"}`,
	} {
		if len(problems(known, expr)) != 1 {
			t.Errorf("%s has %q", expr, problems(known, expr))
		}
	}
}
