// Queues of the JSON API: their columns, how fast they move, and the form that makes or changes one.
import { html } from "../lib.js";
import { count, rate, span } from "../core/format.js";
import { FormDialog, json, numbersOf } from "../parts/ask.js";

// withRates puts the counters of each queue beside it, and what they grew by in a second.
export function withRates(queues, now, before) {
  return queues.map((q) => {
    const m = now.metrics[q.name];
    const old = before?.metrics[q.name];
    const seconds = before && (now.at - before.at) / 1000;
    const grew = (name) => (m && old && seconds > 0 ? Math.max(0, m[name] - old[name]) / seconds : undefined);
    return { ...q, metrics: m, published: grew("published"), delivered: grew("delivered") };
  });
}

const number = (n) => (n === undefined ? "–" : count(n));
const perSecond = (n) => (n === undefined ? "–" : `${rate(n)}/s`);

export function pullColumns(ask, edit) {
  return [
    { title: "Queue", grow: true, cell: (q) => html`<strong>${q.name}</strong>` },
    { title: "Kind", width: "90px", wide: true, cell: (q) => (q.webhook_url ? html`<span title=${q.webhook_url}>webhook</span>` : "pull") },
    { title: "State", width: "98px", cell: (q) => html`<span class="badge ${q.paused ? "warn" : "good"}">${q.paused ? "paused" : "running"}</span>` },
    { title: "Pending", width: "80px", num: true, cell: (q) => number(q.metrics?.pending) },
    { title: "Leased", width: "76px", num: true, wide: true, cell: (q) => number(q.metrics?.in_flight) },
    { title: "Oldest", width: "84px", num: true, wide: true, cell: (q) => (q.metrics?.oldest_age_seconds ? span(q.metrics.oldest_age_seconds * 1000) : "–") },
    { title: "In", width: "76px", num: true, wide: true, cell: (q) => perSecond(q.published) },
    { title: "Out", width: "76px", num: true, wide: true, cell: (q) => perSecond(q.delivered) },
    { title: "Actions", width: "266px", cell: (q) => html`<span class="row-actions">
        <button type="button" class="button small" onClick=${() => edit(q)}>Edit</button>
        <button type="button" class="button small" onClick=${() => ask(pauseOf(q))}>${q.paused ? "Resume" : "Pause"}</button>
        <button type="button" class="button small danger" onClick=${() => ask(purgeOf(q))}>Purge</button>
        <button type="button" class="button small danger" onClick=${() => ask(deleteOf(q))}>Delete</button></span>` },
  ];
}

const pathOf = (q) => `/v1/queues/${encodeURIComponent(q.name)}`;

const pauseOf = (q) => (q.paused
  ? { title: `Let ${q.name} go on?`, text: "Messages are handed out again.", label: "Resume", request: { method: "POST", path: `${pathOf(q)}/resume` }, done: "It goes on." }
  : { title: `Pause ${q.name}?`, text: "No message is handed out until it is resumed. Leases go on, and messages are still taken.", label: "Pause", request: { method: "POST", path: `${pathOf(q)}/pause` }, done: "Paused." });

const purgeOf = (q) => ({
  title: `Purge ${q.name}?`, text: "All of its messages are gone for good, those that are leased too.", label: "Purge", danger: true,
  request: { method: "POST", path: `${pathOf(q)}/purge` }, done: "Purged.",
});

const deleteOf = (q) => ({
  title: `Delete ${q.name}?`, text: "The queue and all of its messages are gone for good.", label: "Delete", danger: true,
  request: { method: "DELETE", path: pathOf(q) }, done: "Deleted.",
});

const numbers = ["max_retries", "visibility_seconds", "retention_seconds", "delay_seconds", "max_concurrency", "timeout_seconds"];

const fieldsOf = (known) => [
  { name: "name", label: "Name", required: true, fixed: known },
  { name: "webhook_url", label: "Webhook URL", hint: "Empty: consumers pull" },
  { name: "dead_letter_queue", label: "Dead letter queue", hint: "Where messages go that failed too often" },
  { name: "max_retries", label: "Retries", kind: "number" },
  { name: "visibility_seconds", label: "Lease, seconds", kind: "number" },
  { name: "retention_seconds", label: "Retention, seconds", kind: "number" },
  { name: "delay_seconds", label: "Delay, seconds", kind: "number" },
  { name: "max_concurrency", label: "Concurrency of the webhook", kind: "number" },
  { name: "timeout_seconds", label: "Timeout of the webhook, seconds", kind: "number" },
];

export function PullForm({ queue, onClose, onDone }) {
  const known = Boolean(queue.name);
  const initial = Object.fromEntries(fieldsOf(known).map(({ name }) => [name, queue[name] === undefined || queue[name] === null ? "" : String(queue[name])]));
  const requestOf = (v) => {
    const value = { name: v.name, ...numbersOf(v, numbers) };
    for (const name of ["webhook_url", "dead_letter_queue"]) if (v[name] || (known && queue[name])) value[name] = v[name] || null;
    return json("POST", "/v1/queues", value);
  };
  return html`<${FormDialog} title=${known ? `Change ${queue.name}` : "Create a pull or webhook queue"} label=${known ? "Change" : "Create"} done="Done." initial=${initial}
    fields=${fieldsOf(known)} requestOf=${requestOf} onClose=${onClose} onDone=${onDone} />`;
}
