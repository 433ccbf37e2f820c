// How it goes: rates, how long deliveries take and how late attempts begin, what waits. The
// charts move while somebody looks.
import { html, useMemo, useRef, useState } from "../lib.js";
import { isAbort } from "../core/api.js";
import { count, rate, span } from "../core/format.js";
import { go, linkTo, route } from "../core/router.js";
import { inFlight, ranges, reader, recent, seriesOf } from "../core/stats.js";
import { useStore } from "../core/store.js";
import { usePoll } from "../core/visible.js";
import { Chart } from "../parts/chart.js";
import { Switch } from "../parts/field.js";
import { Empty, Failure, Loading } from "../parts/state.js";

export default function Overview() {
  const { query } = useStore(route);
  const range = ranges.find((r) => r.name === query.get("range")) ?? ranges[0];
  const { stats, flying, error } = useStats(range);
  return html`<div class="page-head"><h1>Overview</h1>
      <${Switch} label="Time that is shown" value=${range.name} options=${ranges.map((r) => [r.name, r.label])}
        onValue=${(name) => go(["overview"], { range: name })} />
    </div>
    ${error && html`<${Failure} error=${error} />`}
    ${!stats && !error && html`<${Loading} what="Asking for statistics" />`}
    ${stats && html`<${Figures} stats=${stats} flying=${flying} range=${range} />`}`;
}

// useStats asks as often as the range needs, and keeps what it had when that fails.
function useStats(range) {
  const [state, setState] = useState({});
  const read = useMemo(() => reader(range), [range]);
  const turn = useRef();
  turn.current = read;
  usePoll(async (signal) => {
    try {
      const [stats, flying] = await Promise.all([read(signal), inFlight(signal)]);
      if (turn.current === read) setState({ stats, flying });
    } catch (error) {
      if (!isAbort(error)) setState((s) => ({ ...s, error }));
    }
  }, range.every, [read]);
  return state;
}

function Figures({ stats, flying, range }) {
  const s = useMemo(() => seriesOf(stats), [stats]);
  const quiet = stats.points.length === 0 && stats.backlog === 0;
  const perSecond = (values) => rate(recent(values, stats.stepSeconds));
  const newest = (values) => values.findLast((v) => v !== null);
  return html`<dl class="cards">
      <${Card} name="Published" value=${perSecond(s.published)} unit="/s" />
      <${Card} name="Delivered" value=${perSecond(s.delivered)} unit="/s" />
      <${Card} name="Retried" value=${perSecond(s.retried)} unit="/s" />
      <${Card} name="Failed" value=${perSecond(s.failed)} unit="/s" bad=${recent(s.failed, stats.stepSeconds) > 0} />
      <${Card} name="Backlog" value=${count(stats.backlog)} />
      <${Card} name="In flight" value=${flying === undefined ? "–" : count(flying)} />
      <${Card} name="Latency p99" value=${spanOr(newest(s.latency99))} />
      <${Card} name="Lateness p99" value=${spanOr(newest(s.lateness99))} />
    </dl>
    ${quiet && html`<section class="panel"><${Empty} title="Nothing has happened in this time">
      <a href=${linkTo(["publish"])}>Publish a message</a>, or look at a longer time. The charts fill as messages come.<//></section>`}
    <div class="charts">
      <${Chart} title="Messages per second" times=${s.times} format=${rate} series=${[
        { name: "published", tone: 1, values: s.published },
        { name: "delivered", tone: 2, values: s.delivered },
        { name: "retried", tone: 3, values: s.retried },
        { name: "failed", tone: 4, values: s.failed },
      ]} />
      <${Chart} title="Backlog" times=${s.times} format=${count} series=${[{ name: "pending", tone: 1, values: s.backlog }]} />
      <${Chart} title="Latency of deliveries" times=${s.times} format=${span} series=${threeOf(s, "latency")} />
      <${Chart} title="Lateness of attempts" times=${s.times} format=${span} series=${threeOf(s, "lateness")} />
    </div>
    <p class="soft">In the last ${range.label}: latency is from when the delivering attempt was due to its end, lateness from when an attempt was due to its start.</p>`;
}

const threeOf = (s, what) => [
  { name: "p50", tone: 2, values: s[`${what}50`] },
  { name: "p90", tone: 1, values: s[`${what}90`] },
  { name: "p99", tone: 3, values: s[`${what}99`] },
];

const spanOr = (ms) => (ms === undefined || ms === null ? "–" : span(ms));

function Card({ name, value, unit = "", bad = false }) {
  return html`<div class="panel card ${bad ? "bad" : ""}"><dt>${name}</dt><dd>${value}<small>${unit}</small></dd></div>`;
}
