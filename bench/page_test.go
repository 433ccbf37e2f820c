package bench

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
)

// hostile is a name that would do harm wherever it is not escaped.
const hostile = `x</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;` + "\x00\u2028]]>{{.Runs}}"

func hostileReport() *Report {
	r := testReport()
	r.Scenario, r.Unit, r.Build, r.Machine.CPU = hostile, hostile, hostile, hostile
	run := &r.Runs[0]
	run.Name, run.Sides[0].Durability = hostile, hostile
	r.Peers = []PeerInfo{{Name: hostile, Durability: hostile, Missing: hostile, Install: hostile}}
	run.Sides[0].Name, run.Figures[0].Name, run.Figures[0].Unit = hostile, hostile, hostile
	run.Ratios[0].Of, run.Ratios[0].What = hostile, hostile
	return r
}

func htmlOf(t *testing.T, reports ...*Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, reports...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHTML(t *testing.T) {
	second := testReport()
	second.Scenario = "deliver"
	second.Runs[0].Name = "end to end"
	second.Runs[0].Sides[1].Durability = "flushed each second"
	second.Peers = []PeerInfo{{Name: "Redis", Durability: "always", Missing: "it is not installed", Install: "apt"}}
	page := htmlOf(t, testReport(), second)
	for _, want := range []string{
		`<a href="#report-1">deliver</a>`, "<h3>end to end c=64</h3>", "<li>echo: flushed each second</li>", "<li>left out: it is not installed</li>", `<section id="report-0">`, "<h2>publish</h2>", "AMD EPYC", "Linux 6.18.5",
		"ext4 on vda1 (virtual disk, write back)", "fsync always", "commit 0123456789ab", "took 31.4s",
		"<li>server / echo: 0.40 (0.25 to 0.60)</li>", "<li>time to start: 0.5 s (0.25 s to 1 s)</li>",
		"<li>server: the server held at most 12 file descriptors and 64 MiB</li>", "<h3>c=64</h3>",
		"<th>server</th><td>500</td>", "<td>15.0us</td><td>7.0us</td>",
		`"title":"acked/s","series":[{"name":"server","values":[400,600,500]}`, `<div id="plot-1-0-2">`,
		plotScript, pageScript, "<rect class=\"tm-b\"",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %.80q", want)
		}
	}
	if len(page) > 128<<10 {
		t.Errorf("a page of %d bytes", len(page))
	}
}

// The page needs nothing from anywhere: it names no address but the one in the comment of
// uPlot's licence, and no element that would load something.
func TestHTMLNamesNoOtherPlace(t *testing.T) {
	page := htmlOf(t, testReport(), testReport())
	const credit = "/*! https://github.com/leeoniya/uPlot (v1.6.32) */"
	if !strings.HasPrefix(plotScript, credit) {
		t.Fatal("uPlot does not begin with its name")
	}
	rest := strings.ToLower(strings.Replace(page, credit, "", 1))
	for _, no := range []string{"http:", "https:", "href=\"//", " src=", "<link", "<iframe", "<img", "@import", "url("} {
		if at := strings.Index(rest, no); at >= 0 {
			t.Errorf("the page has %q: ...%s...", no, rest[max(0, at-60):min(len(rest), at+60)])
		}
	}
}

// A browser takes text for what it is: no script but the two, whose hashes the policy names,
// and the data.
func TestHTMLEscapes(t *testing.T) {
	page := htmlOf(t, hostileReport())
	if n := strings.Count(page, "<script"); n != 3 || strings.Count(page, "</script") != 3 {
		t.Errorf("%d scripts begin, %d end", n, strings.Count(page, "</script"))
	}
	if strings.Contains(page, "<img") || strings.Contains(page, "alert(1)</script>") {
		t.Error("a name became an element")
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the name is not shown")
	}
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("no policy")
	}
	allowed := html.UnescapeString(policy[1])
	for _, script := range regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(allowed, hashOf(script[1])) {
			t.Errorf("the policy %s does not allow the script %.60q", allowed, script[1])
		}
	}
	if !strings.HasPrefix(allowed, "default-src 'none';") || strings.Contains(allowed, "unsafe-eval") {
		t.Errorf("policy %s", allowed)
	}
}

func TestSVG(t *testing.T) {
	second := testReport()
	second.Scenario = "deliver"
	second.Runs[0].Ratios[0].Max = 12.5
	none := testReport()
	none.Runs[0].Ratios = nil
	var b bytes.Buffer
	if err := WriteSVG(&b, testReport(), none, second, hostileReport()); err != nil {
		t.Fatal(err)
	}
	texts := wellFormed(t, b.Bytes())
	for _, want := range []string{"publish, 256-byte bodies, 2 CPUs", "c=64  server / echo", "0.40 (0.25 to 0.60)", "0.40 (0.25 to 12.50)", "<script>alert(1)</script>"} {
		if !strings.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
	if n := strings.Count(b.String(), `<rect class="tm-b"`); n != 3 {
		t.Errorf("%d bars, want 3", n)
	}
	if !strings.Contains(b.String(), "prefers-color-scheme:dark") {
		t.Error("one colour for light and dark")
	}
	if err := WriteSVG(io.Discard, none); !errors.Is(err, ErrNothingToDraw) {
		t.Errorf("nothing to draw: %v", err)
	}
}

// wellFormed parses XML and returns its text.
func wellFormed(t *testing.T, text []byte) string {
	t.Helper()
	var all strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch x := token.(type) {
		case xml.CharData:
			all.Write(x)
		case xml.StartElement:
			if x.Name.Local == "script" || x.Name.Local == "img" {
				t.Errorf("an element %s", x.Name.Local)
			}
		}
	}
}

// Every axis begins at 0, ends at or after the longest bar, and has a handful of numbers.
func TestAxis(t *testing.T) {
	for _, most := range []float64{0.011, 0.4, 0.65, 1, 1.3, 2, 2.6, 5, 7.7, 10, 24, 99, 1234} {
		c := chart{bars: []bar{{"", most / 2, most / 3, most}}}
		step, end := c.axis()
		if n := end / step; n < 2 || n > 11 || end < most || end > 1.5*most {
			t.Errorf("%v: to %v in steps of %v", most, end, step)
		}
	}
}

//go:embed page/UPLOT.txt
var vendored string

func TestVendoredFiles(t *testing.T) {
	for name, text := range map[string]string{"uPlot.iife.min.js": plotScript, "uPlot.min.css": plotStyle} {
		sum := sha256.Sum256([]byte(text))
		if line := hex.EncodeToString(sum[:]) + "  " + name + "\n"; !strings.Contains(vendored, line) {
			t.Errorf("UPLOT.txt has not %q", line)
		}
	}
	if !strings.Contains(vendored, "The MIT License (MIT)") {
		t.Error("no licence")
	}
}
