package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testReport is a report of known numbers, with all that one can have.
func testReport() *Report {
	o := quick(nil)
	r := newReport("publish", "acked/s", &o)
	r.CPUs, r.GOOS, r.GOARCH = 2, "linux", "amd64"
	r.Started, r.Took, r.began = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), 31400*time.Millisecond, time.Time{}
	r.Build, r.Fsync = "tidemill v1.2.3 (commit 0123456789ab)", "always"
	r.Machine = Machine{
		Name: "box", Kernel: "Linux 6.18.5", CPU: "AMD EPYC", Memory: 24 << 30, Go: "go1.26.8",
		FileSystem: "ext4", Disk: "vda1 (virtual disk, write back)",
	}
	round := func(rate float64) Round {
		return Round{
			Rate: rate, P50: time.Millisecond, P99: 3 * time.Millisecond,
			CPU: 15 * time.Microsecond, Harness: 7 * time.Microsecond, Messages: int64(rate),
		}
	}
	r.add(64, []Side{
		{
			Name: "server", Rate: 500, P50: time.Millisecond, P99: 3 * time.Millisecond, Max: 20 * time.Millisecond,
			CPU: 15 * time.Microsecond, Harness: 7 * time.Microsecond, Messages: 1500, Failed: 1, Duplicates: 2,
			Rounds: []Round{round(400), round(600), round(500)}, Written: 1500 * 256 * 5 / 4,
			operations: 1500, written: []float64{256, 512, 128},
		},
		{Name: "echo", Rate: 1000, Rounds: []Round{round(1000), round(1000), round(2000)}},
	}, [2]int{0, 1})
	r.addWritten()
	run := &r.Runs[0]
	run.Figures = append(run.Figures, Figure{Name: "time to start", Unit: "s", Values: []float64{0.5, 0.25, 1}})
	run.Sides[0].Held = &Usage{Descriptors: 12, Resident: 64 << 20}
	return r
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, got)
	}
}

func TestTextIsGolden(t *testing.T) {
	var text, lines bytes.Buffer
	r := testReport()
	if err := errors.Join(r.WriteText(&text), r.WriteBenchmarks(&lines)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", text.Bytes())
	golden(t, "report.bench", lines.Bytes())
}

// A figure that nothing was found out about is shown as that.
func TestFigureWithoutValues(t *testing.T) {
	f := Figure{Name: "x", Unit: "s"}
	if got := f.text(); got != "not known" {
		t.Fatal(got)
	}
}

// A round in which there is nothing to divide by is no part of a ratio, and no reason for a
// report that cannot be written.
func TestRatioOfNothing(t *testing.T) {
	cpu := func(values ...time.Duration) *Side {
		s := &Side{Name: "x"}
		for _, v := range values {
			s.Rounds = append(s.Rounds, Round{CPU: v})
		}
		return s
	}
	value := func(r Round) float64 { return float64(r.CPU) }
	if q := ratio("CPU", cpu(2, 4, 6), cpu(1, 0, 1), value); q.Median != 4 || len(q.Values) != 2 || q.text() != "4.00 (2.00 to 6.00)" {
		t.Errorf("%+v", q)
	}
	r := testReport()
	r.Runs[0].Ratios = []Ratio{ratio("CPU", cpu(1, 1), cpu(0, 0), value)}
	r.Runs[0].Sides[0].CPU, r.Runs[0].Sides[1].CPU = 0, time.Microsecond
	if r.addCPU(0, 1); len(r.Runs[0].Ratios) != 1 {
		t.Errorf("a ratio of what is not known: %+v", r.Runs[0].Ratios[1:])
	}
	if got := r.Runs[0].Ratios[0].text(); got != "not known" {
		t.Error(got)
	}
	if err := r.WriteJSON(io.Discard); err != nil {
		t.Error(err)
	}
	if len(r.bars()) != 0 {
		t.Error("it is drawn")
	}
	if c, err := Compare(r, r); err != nil || c.Rows[0].Known {
		t.Errorf("%+v, %v", c, err)
	}
}

// A machine of which nothing is known, and a report as the first of them were, leave no
// empty lines or stray commas.
func TestTextOfABareReport(t *testing.T) {
	var text bytes.Buffer
	r := &Report{Scenario: "publish", Unit: "acked/s", GOOS: "plan9", GOARCH: "mips", CPUs: 1}
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := "publish: 0-byte bodies, 0 rounds of 0s for each side, 1 CPUs (plan9/mips) shared by all\n  1 CPUs\n"
	if text.String() != want {
		t.Fatalf("got %q, want %q", text.String(), want)
	}
}

// No text makes two fields, or two lines, out of one in what benchstat reads.
func TestBenchmarkLinesOfHostileNames(t *testing.T) {
	r := testReport()
	r.Scenario = "übel\nBenchmarkX 1"
	r.Runs[0].Sides[0].Name = "a b\tc\nBenchmarkY 1 2 ns/op"
	r.Runs[0].Figures[0].Name = "x y\nBenchmarkZ"
	var lines bytes.Buffer
	if err := r.WriteBenchmarks(&lines); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(lines.String()), "\n") {
		if strings.HasPrefix(line, "Benchmark") && !strings.HasPrefix(line, "BenchmarkÜbel-BenchmarkX-1/") {
			t.Errorf("a line of its own: %q", line)
		}
	}
	if n := strings.Count(lines.String(), "\nBenchmark"); n != 6+1+3+3 {
		t.Errorf("%d lines:\n%s", n, &lines)
	}
}

func TestReportComesBack(t *testing.T) {
	r := testReport()
	var js bytes.Buffer
	if err := r.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	back, err := ReadReport(&js)
	if err != nil {
		t.Fatal(err)
	}
	r.Runs[0].Sides[0].operations, r.Runs[0].Sides[0].written = 0, nil // not kept: figures are made of them
	if !reflect.DeepEqual(back, r) {
		t.Fatalf("got  %+v\nwant %+v", back, r)
	}
	took := back.Took
	if back.End(); back.Took != took {
		t.Fatal("a report that was read took another time")
	}
}

func TestReadReportRefuses(t *testing.T) {
	newer := testReport()
	newer.Format++
	for _, c := range []struct {
		text []byte
		want string
	}{
		{[]byte(`{`), "not a report"},
		{[]byte(`{"runs":[]}`), "names no scenario"},
		{[]byte(`[1]`), "not a report"},
		{marshal(t, newer), "use a newer one"},
		{bytes.Repeat([]byte(" "), savedMax+1), "no report is so long"},
	} {
		if _, err := ReadReport(bytes.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want %q", c.text, err, c.want)
		}
	}
}

func marshal(t *testing.T, r *Report) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadReportsOfADirectory(t *testing.T) {
	dir := t.TempDir()
	second := testReport()
	second.Scenario = "deliver"
	for name, text := range map[string][]byte{
		"b.json": marshal(t, testReport()), "a.json": marshal(t, second), "README.md": []byte("no report"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadReports(dir)
	if err != nil || len(got) != 2 || got[0].Scenario != "deliver" || got[1].Scenario != "publish" {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := ReadReports(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("an empty directory: %v", err)
	}
	if _, err := ReadReports(filepath.Join(dir, "README.md")); err == nil || !strings.Contains(err.Error(), "README.md: not a report") {
		t.Fatalf("a file that is no report: %v", err)
	}
}

// A run says where it was made, what it cost each process, and how long it took.
func TestRunsAreDescribed(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true}
	o := DeliverOptions{Common: quick(inProcess(f.serve), 4), Hosts: 2}
	o.Setting = Setting{Machine: "box", Build: "v1", Fsync: "always", Data: "."}
	r, err := Deliver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r.End()
	if r.Took <= 0 || r.Format != reportFormat || r.Build != "v1" || r.Fsync != "always" ||
		r.Machine.Name != "box" || r.Machine.Go == "" || r.Started.After(time.Now()) {
		t.Fatalf("%+v", r)
	}
	for _, s := range r.Runs[0].Sides {
		if s.operations < s.Messages {
			t.Errorf("%s: %d operations for %d messages", s.Name, s.operations, s.Messages)
		}
		if _, ok := ownCPU(); ok && s.Harness <= 0 {
			t.Errorf("%s: no CPU time of the harness", s.Name)
		}
	}
}
