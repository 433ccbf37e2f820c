package bench

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// What a page is made of. page/UPLOT.txt says where uPlot is from.
var (
	//go:embed page/page.html
	pageText string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
	//go:embed page/uPlot.iife.min.js
	plotScript string
	//go:embed page/uPlot.min.css
	plotStyle string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"millis": millis,
	"cpu":    cpuText,
	"rate":   func(r float64) string { return fmt.Sprintf("%.0f", r) },
}).Parse(pageText))

// WriteHTML writes one page about all the reports, which needs nothing from anywhere: its
// scripts and styles are in it, and its policy lets a browser load and run nothing else.
// Without scripts it has the tables and the bars, and lacks the plots of the rounds.
func WriteHTML(w io.Writer, reports ...*Report) error {
	p := page{
		Policy:  "default-src 'none'; style-src 'unsafe-inline'; script-src " + hashOf(plotScript) + " " + hashOf(pageScript),
		Styles:  template.CSS(plotStyle + pageStyle),
		Plotter: template.JS(plotScript),
		Script:  template.JS(pageScript),
	}
	for i, r := range reports {
		p.Sections = append(p.Sections, newSection(i, r))
	}
	for _, s := range p.Sections {
		for _, run := range s.Runs {
			p.Plots = append(p.Plots, run.Plots...)
		}
	}
	return pageTemplate.Execute(w, p)
}

// hashOf is what a Content-Security-Policy calls a script.
func hashOf(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page is what the template is given. Only texts of this package have a type that is not
// escaped.
type page struct {
	Policy          string
	Styles          template.CSS
	Plotter, Script template.JS
	Sections        []section
	Plots           []plot
}

// section is one report.
type section struct {
	*Report
	ID, Title     string
	Circumstances []string
	Chart         template.HTML // an SVG without scripts; "" if there are no ratios
	Runs          []runSection
	Peers         []string // those that were looked for
}

type runSection struct {
	Run
	Title string
	Notes []string
	Plots []plot
}

// notes are those of the table for people.
func (run *Run) notes() []string {
	var b strings.Builder
	run.writeNotes(&b)
	return lines(b.String())
}

// lines are those that are not empty, without the spaces around them.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// plot is a value of all sides, round by round. JSON: read by page.js.
type plot struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Series []series `json:"series"`
}

type series struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

func newSection(i int, r *Report) section {
	s := section{Report: r, Title: r.title(), ID: fmt.Sprintf("report-%d", i), Circumstances: r.circumstances(), Chart: inlineChart(r)}
	for k, run := range r.Runs {
		s.Runs = append(s.Runs, runSection{run, run.title(), run.notes(), run.plots(fmt.Sprintf("plot-%d-%d", i, k), r.Unit)})
	}
	var b strings.Builder
	writePeers(&b, r.Peers)
	s.Peers = lines(b.String())
	return s
}

// inlineChart is the report's bars as an element of a page, where it needs no namespace.
func inlineChart(r *Report) template.HTML {
	c := chart{report: r, bars: r.bars()}
	if len(c.bars) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d" role="img" aria-label="ratios">`, svgWidth, c.height()+svgMargin)
	drawCharts(&b, []*Report{r})
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// plots are rate and latencies over the rounds, in those scenarios that have several.
func (run *Run) plots(id, unit string) []plot {
	values := []struct {
		title string
		of    func(Round) float64
	}{
		{unit, func(q Round) float64 { return q.Rate }},
		{"p50, ms", func(q Round) float64 { return inMillis(q.P50) }},
		{"p99, ms", func(q Round) float64 { return inMillis(q.P99) }},
	}
	var out []plot
	for i, v := range values {
		p := plot{ID: fmt.Sprintf("%s-%d", id, i), Title: v.title}
		for _, s := range run.Sides {
			if len(s.Rounds) > 1 {
				p.Series = append(p.Series, series{s.Name, pick(s.Rounds, v.of)})
			}
		}
		if len(p.Series) > 0 {
			out = append(out, p)
		}
	}
	return out
}
