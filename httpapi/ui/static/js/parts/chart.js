// A chart over time: uPlot in our colours. It is loaded when the first chart is drawn, so that
// pages without one do not wait for it. Beside it stands its legend, with the newest values, in text.
import { html, useEffect, useRef, useState } from "../lib.js";
import { useStore } from "../core/store.js";
import { theme } from "../core/theme.js";

// pointsMost is how many values are drawn as points too: of few, each may stand alone, where a line
// has nothing to join.
const pointsMost = 60;

const library = () => import("../../vendor/uplot.js").then((m) => m.default);

// Chart draws series { name, tone: 1 to 4, values } over times (unix seconds, ascending). format
// writes a value.
export function Chart({ title, times, series, format }) {
  const host = useRef();
  const plot = useRef();
  const dark = useStore(theme);
  const [failed, setFailed] = useState(false);
  const data = [times, ...series.map((s) => s.values)];
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    let gone = false;
    let watch;
    library().then((UPlot) => {
      if (gone) return;
      plot.current = new UPlot(optionsOf(host.current, series, format), latest.current, host.current);
      watch = new ResizeObserver(() => plot.current.setSize({ width: host.current.clientWidth, height: 190 }));
      watch.observe(host.current);
    }, () => !gone && setFailed(true));
    return () => {
      gone = true;
      watch?.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [dark, series.map((s) => s.name).join()]);
  useEffect(() => {
    plot.current?.setData(data);
  }, [times, ...series.map((s) => s.values)]);
  return html`<figure class="panel chart">
    <header>
      <h2>${title}</h2>
      <div class="legend">
        ${series.map((s) => html`<span class="c${s.tone}"><i></i>${s.name} <b>${newest(s.values, format)}</b></span>`)}
      </div>
    </header>
    <div class="inner">
      ${failed
        ? html`<p class="state">The chart cannot be loaded: the server was replaced by another release. Reload the page.</p>`
        : html`<div class="plot" ref=${host} role="img" aria-label="${title} over time; the newest values stand above"></div>`}
    </div>
  </figure>`;
}

function newest(values, format) {
  const value = values.findLast((v) => v !== null && v !== undefined);
  return value === undefined ? "–" : format(value);
}

function optionsOf(host, series, format) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--ink-soft"),
    font: `12px ${colour("--sans")}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: host.clientWidth,
    height: 190,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    padding: [10, 14, 0, 0],
    axes: [{ ...axis, space: 70, size: 28, values: hours }, { ...axis, size: 62, values: (_, ticks) => ticks.map(format) }],
    series: [
      {},
      ...series.map((s) => ({
        label: s.name,
        stroke: colour(`--series-${s.tone}`),
        width: 1.5,
        points: { show: (u, at) => u.data[at].filter((v) => v !== null).length < pointsMost, size: 5, width: 0, fill: colour(`--series-${s.tone}`) },
        spanGaps: false,
      })),
    ],
  };
}

// hours writes the times of an axis: clock times, and the day where it is a new one.
function hours(_, ticks, __, ___, step) {
  const two = (n) => String(n).padStart(2, "0");
  return ticks.map((seconds) => {
    const t = new Date(seconds * 1000);
    if (step >= 86_400 || (t.getHours() === 0 && t.getMinutes() === 0 && t.getSeconds() === 0)) return `${t.getMonth() + 1}/${t.getDate()}`;
    return `${two(t.getHours())}:${two(t.getMinutes())}${step < 60 ? ":" + two(t.getSeconds()) : ""}`;
  });
}
