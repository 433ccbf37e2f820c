// Statistics for charts: the points of GET /v2/stats, where nothing stands for a time in which
// nothing happened, as series without gaps.
import { isAbort, send } from "./api.js";

// ranges are the times that a chart can show; ms between two looks at them.
export const ranges = [
  { name: "5m", label: "5 min", length: 300_000, every: 2000 },
  { name: "1h", label: "1 hour", length: 3_600_000, every: 5000 },
  { name: "6h", label: "6 hours", length: 21_600_000, every: 30_000 },
  { name: "1d", label: "1 day", length: 86_400_000, every: 60_000 },
  { name: "7d", label: "7 days", length: 604_800_000, every: 300_000 },
  { name: "14d", label: "14 days", length: 1_209_600_000, every: 300_000 },
  { name: "30d", label: "30 days", length: 2_592_000_000, every: 300_000 },
];

const again = 10_000; // ms of the newest points that are asked for once more: they were not over

// reader asks for a range again and again. Of an hour or less it asks for what is new only.
export function reader(range) {
  let points = [];
  let until = 0;
  return async (signal) => {
    const now = Date.now();
    const from = now - range.length;
    const since = range.length <= 3_600_000 ? Math.max(from, until - again) : from;
    const answer = await send({ path: "/v2/stats", query: { from: Math.floor(since), to: now } }, signal);
    const first = answer.points[0]?.time ?? answer.to;
    points = [...points.filter((p) => p.time >= from && p.time < Math.min(since, first)), ...answer.points];
    until = now;
    return { ...answer, from, to: now, points };
  };
}

// seriesOf spreads points over every step of their time. Rates are per second; where nothing was
// delivered there is no latency.
export function seriesOf({ from, to, stepSeconds, backlog, points }) {
  const step = stepSeconds * 1000;
  const first = Math.floor(from / step);
  const n = Math.max(1, Math.floor((to - 1) / step) - first);
  const out = { times: new Array(n) };
  for (let i = 0; i < n; i++) out.times[i] = ((first + i) * step) / 1000;
  for (const name of rates) out[name] = new Array(n).fill(0);
  for (const name of quantiles) out[name] = new Array(n).fill(null);
  out.backlog = new Array(n).fill(null);
  for (const p of points) {
    const i = Math.floor(p.time / step) - first;
    if (i >= 0 && i < n) put(out, i, p, stepSeconds);
  }
  carry(out.backlog, backlog);
  return out;
}

const rates = ["published", "delivered", "retried", "failed"];
const quantiles = ["latency50", "latency90", "latency99", "lateness50", "lateness90", "lateness99"];

function put(out, i, p, stepSeconds) {
  for (const name of rates) out[name][i] += p[name] / stepSeconds;
  for (const what of ["latency", "lateness"]) {
    const q = p[`${what}Millis`];
    if (!q) continue;
    out[`${what}50`][i] = q.p50;
    out[`${what}90`][i] = q.p90;
    out[`${what}99`][i] = q.p99;
  }
  out.backlog[i] = p.backlog;
}

// carry fills the backlog of times in which nothing happened: it was what it was before.
function carry(values, now) {
  let last = null;
  for (let i = 0; i < values.length; i++) {
    last = values[i] ?? last;
    values[i] = last;
  }
  if (last === null) values.fill(now);
}

// hostsOf asks for what is in flight. It is no statistic, and a failure leaves it unknown.
export async function inFlight(signal) {
  try {
    const hosts = await send({ path: "/v2/hosts" }, signal);
    return hosts.reduce((sum, h) => sum + h.inFlight, 0);
  } catch (error) {
    if (isAbort(error)) throw error;
    return undefined;
  }
}

// recent is the mean rate of the last seconds.
export function recent(values, stepSeconds, seconds = 10) {
  const n = Math.max(1, Math.round(seconds / stepSeconds));
  const last = values.slice(-n);
  return last.reduce((sum, v) => sum + v, 0) / last.length;
}
