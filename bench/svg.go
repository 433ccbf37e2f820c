package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The measures of a chart, in pixels.
const (
	svgWidth   = 760
	svgLabels  = 250 // where the bars begin
	svgBars    = 320 // of the widest one
	svgRow     = 26
	svgHead    = 40 // above the first row of a report
	svgFoot    = 30 // below the last: the numbers of the axis
	svgMargin  = 14
	labelRunes = 38 // of a label; a title has room for twice as many
)

// svgStyle is readable on a light and on a dark ground: a README's reader has either.
const svgStyle = `<style>
.tm-t{font:600 14px system-ui,sans-serif;fill:#1f2328}
.tm-l{font:12px system-ui,sans-serif;fill:#1f2328}
.tm-s{font:11px system-ui,sans-serif;fill:#59636e}
.tm-b{fill:#2f81f7}.tm-g{stroke:#d1d9e0}.tm-o{stroke:#59636e;stroke-dasharray:4 3}
.tm-r{stroke:#1f2328;stroke-width:1.5}
@media (prefers-color-scheme:dark){
.tm-t,.tm-l{fill:#f0f6fc}.tm-s{fill:#9198a1}
.tm-b{fill:#4493f8}.tm-g{stroke:#3d444d}.tm-o{stroke:#9198a1}.tm-r{stroke:#f0f6fc}
}
</style>
`

// WriteSVG draws the ratios of the reports as bars, each with the range of its rounds, one
// report below the other. A report without ratios is left out; ErrNothingToDraw says that
// all were.
func WriteSVG(w io.Writer, reports ...*Report) error {
	var b strings.Builder
	height := svgMargin
	for _, r := range reports {
		height += (&chart{report: r, bars: r.bars()}).height()
	}
	if height == svgMargin {
		return ErrNothingToDraw
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n",
		svgWidth, height, svgWidth, height)
	b.WriteString("<title>Ratios, measured by tidemill bench</title>\n")
	drawCharts(&b, reports)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// HasRatios reports whether there is something for WriteSVG to draw.
func (r *Report) HasRatios() bool { return len(r.bars()) > 0 }

// drawCharts writes style and charts, which is all but the element around them.
func drawCharts(b *strings.Builder, reports []*Report) {
	b.WriteString(svgStyle)
	y := svgMargin
	for _, r := range reports {
		c := chart{report: r, bars: r.bars(), y: y}
		c.draw(b)
		y += c.height()
	}
}

// bar is one ratio of a chart.
type bar struct {
	label            string
	median, min, max float64
}

// bars are the ratios that can be drawn.
func (r *Report) bars() []bar {
	var out []bar
	for i := range r.Runs {
		for _, q := range r.Runs[i].Ratios {
			if q.Median > 0 && q.Max < math.MaxFloat32 {
				label := r.Runs[i].title() + "  " + q.title()
				out = append(out, bar{label, q.Median, q.Min, q.Max})
			}
		}
	}
	return out
}

// chart is the part of one report: its ratios share an axis.
type chart struct {
	report *Report
	bars   []bar
	y      int
}

func (c *chart) height() int {
	if len(c.bars) == 0 {
		return 0
	}
	return svgHead + svgRow*len(c.bars) + svgFoot
}

func (c *chart) draw(b *strings.Builder) {
	if len(c.bars) == 0 {
		return
	}
	title := fmt.Sprintf("%s, %d-byte bodies, %d CPUs", c.report.title(), c.report.BodyBytes, c.report.CPUs)
	svgText(b, "tm-t", svgMargin, c.y+16, "", shorten(title, 2*labelRunes))
	top, bottom := c.y+svgHead-8, c.y+svgHead+svgRow*len(c.bars)
	step, most := c.axis()
	at := func(v float64) float64 { return svgLabels + svgBars*min(max(v/most, 0), 1) }
	for k := 0; float64(k)*step <= most*1.0001; k++ {
		v := float64(k) * step
		svgLine(b, "tm-g", at(v), float64(top), at(v), float64(bottom))
		svgText(b, "tm-s", int(at(v)), bottom+16, "middle", strconv.FormatFloat(v, 'g', 4, 64))
	}
	if most >= 1 { // as fast as what it is compared with
		svgLine(b, "tm-o", at(1), float64(top), at(1), float64(bottom))
	}
	for i, q := range c.bars {
		c.row(b, q, c.y+svgHead+svgRow*i, at)
	}
}

// row draws a bar up to the median, and the range across its end.
func (c *chart) row(b *strings.Builder, q bar, y int, at func(float64) float64) {
	middle := float64(y + svgRow/2 - 4)
	svgText(b, "tm-l", svgLabels-10, int(middle)+4, "end", shorten(q.label, labelRunes))
	fmt.Fprintf(b, `<rect class="tm-b" x="%d" y="%.1f" width="%.1f" height="14" rx="2"/>`+"\n", svgLabels, middle-7, at(q.median)-svgLabels)
	low, high := at(q.min), at(q.max)
	svgLine(b, "tm-r", low, middle, high, middle)
	svgLine(b, "tm-r", low, middle-4, low, middle+4)
	svgLine(b, "tm-r", high, middle-4, high, middle+4)
	value := fmt.Sprintf("%.2f (%.2f to %.2f)", q.median, q.min, q.max)
	svgText(b, "tm-l", svgLabels+svgBars+14, int(middle)+4, "", value)
}

// axis is the step of the numbers below the bars, and the greatest of them.
func (c *chart) axis() (step, most float64) {
	for _, q := range c.bars {
		most = max(most, q.max, q.median)
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, finer := range []float64{1, 2, 5} {
		if step = power / finer; most/step >= 2.5 {
			break
		}
	}
	return step, math.Ceil(most/step) * step
}

func svgLine(b *strings.Builder, class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// svgText writes text with all that XML gives a meaning escaped.
func svgText(b *strings.Builder, class string, x, y int, anchor, text string) {
	if anchor != "" {
		anchor = ` text-anchor="` + anchor + `"`
	}
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d"%s>`, class, x, y, anchor)
	_ = xml.EscapeText(b, []byte(text)) // to a strings.Builder: no error
	b.WriteString("</text>\n")
}

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
