package engine

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// simPlant is a bug that can be planted, and the invariant whose check is to find it. The
// bug itself is a plant.Bug of that name in the engine.
type simPlant struct{ name, finds string }

// simPlants are all of them, at least one for each invariant.
var simPlants = []simPlant{
	{"given-up-as-delivered", "S1"},
	{"clock-back-is-ignored", "S2"},
	{"retry-at-once", "S2"},
	{"body-sent-compressed", "S3"},
	{"cancel-answered-early", "S4"},
	{"refused-and-stored", "S5"},
	{"tombstone-freed-early", "S6"},
	{"end-of-a-moved-is-skipped", "S6"},
	{"row-of-the-ended-stays", "S6"},
	{"one-attempt-more", "S7"},
	{"row-forgets-its-tries", "S7"},
	{"dedup-forgets-early", "S8"},
	{"duplicate-is-stored", "S8"},
	{"lane-takes-all-room", "S9"},
	{"seqs-are-kept", "S9"},
	{"lane-loses-its-turn", "S10"},
	{"rebuild-leaves-out-the-moved", "S10"},
	{"index-leads-the-log", "S10"},
	{"page-forgets-what-came-behind", "S10"},
	{"lane-is-never-woken", "S10"},
	{"moved-once-is-enough", "S11"},
	{"outcome-left-behind", "S11"},
	{"schedule-left-behind", "S11"},
	{"history-in-no-row", "S12"},
	{"jitter-is-ignored", "S13"},
	{"pause-is-caught-up", "S13"},
	{"definition-begins-anew", "S13"},
	{"missed-is-the-end", "S14"},
	{"hold-never-ends", "S14"},
	{"run-is-not-noted", "S15"},
	{"schedule-is-not-armed", "S15"},
	{"callback-holds-no-turn", "S16"},
	{"callback-begins-a-turn", "S16"},
	{"each-lane-has-all-slots", "S16"},
	{"turn-ends-before-what-the-index-has", "S16"},
	{"start-forgets-what-was-dropped", "S16"},
	{"pause-lets-the-ready-go", "S16"},
	{"window-is-not-restored", "S17"},
	{"block-is-used-before-it-is-durable", "S17"},
	{"pin-is-overwritten", "S17"},
	{"part-is-forgotten-early", "S17"},
	{"pardoned-is-freed-twice", "S17"},
	{"short-window-begins-anew", "S17"},
	{"callback-is-lost-on-a-full-disk", "S18"},
	{"refusal-is-not-reported", "S18"},
	{"member-in-no-row", "S19"},
	{"group-left-behind", "S19"},
	{"deleted-group-comes-back", "S19"},
	{"lease-before-it-is-durable", "S20"},
	{"row-forgets-its-lease", "S20"},
	{"ack-before-it-is-durable", "S21"},
	{"sweep-takes-what-is-young", "S21"},
	{"group-has-many-turns", "S22"},
	{"moved-stays-counted", "S23"},
	{"bound-moves-uncounted", "S23"},
	{"lower-parallelism-is-ignored", "S24"},
}

// TestPlants: every invariant that the simulator's comments list is checked somewhere
// and has a bug that it finds, and the list of bugs and the engine know the same ones.
func TestPlants(t *testing.T) {
	listed := invariantsListed(t)
	sim := sources(t, "sim_*_test.go")
	sim = append(sim, sources(t, "sim_test.go")...)
	checked := captures(sim, `fail\("(S\d+):`)
	for _, s := range checked {
		if !slices.Contains(listed, s) {
			t.Errorf("a check names %s, which no comment lists", s)
		}
	}
	var names []string
	for _, p := range simPlants {
		if !slices.Contains(listed, p.finds) {
			t.Errorf("%s is to be found by %s, which no comment lists", p.name, p.finds)
		}
		names = append(names, p.name)
	}
	for _, s := range listed {
		if !slices.Contains(checked, s) {
			t.Errorf("%s is listed and never checked", s)
		}
		if !slices.ContainsFunc(simPlants, func(p simPlant) bool { return p.finds == s }) {
			t.Errorf("%s has no planted bug: nobody knows whether its check can fail", s)
		}
	}
	engine := append(sources(t, "*.go"), sources(t, "index/*.go")...)
	planted := captures(engine, `plant\.Bug\("([^"]*)"\)`)
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); !slices.Equal(unique, planted) || len(unique) != len(names) {
		t.Errorf("planted are %v, the list has %v", planted, names)
	}
}

// sources returns the files of a pattern; other tests than those of the simulator are
// left out.
func sources(t *testing.T, pattern string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, name := range files {
		test, _ := filepath.Match("*_test.go", filepath.Base(name))
		if sim, _ := filepath.Match("sim*_test.go", name); test && (!sim || pattern == "*.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// captures returns what a pattern's group matches, sorted, each once.
func captures(files [][]byte, pattern string) []string {
	var out []string
	for _, b := range files {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(b, -1) {
			out = append(out, string(m[1]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// invariantsListed returns what the comments of the simulator's files list: lines that
// begin with "S7 " or, for several that another file lists one by one, "S13 to S15 ".
func invariantsListed(t *testing.T) []string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^//\tS(\d+) (?:to S(\d+) )?`)
	seen := map[int]bool{}
	for _, b := range append(sources(t, "sim_*_test.go"), sources(t, "sim_test.go")...) {
		for _, m := range line.FindAllSubmatch(b, -1) {
			from, _ := strconv.Atoi(string(m[1]))
			to := from
			if len(m[2]) > 0 {
				to, _ = strconv.Atoi(string(m[2]))
			}
			for ; from <= to; from++ {
				seen[from] = true
			}
		}
	}
	var out []string
	for n := 1; n <= len(seen); n++ {
		if !seen[n] {
			t.Fatalf("%d invariants are listed, and S%d is not", len(seen), n)
		}
		out = append(out, "S"+strconv.Itoa(n))
	}
	return out
}
