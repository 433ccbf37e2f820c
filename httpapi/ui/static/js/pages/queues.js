// Queues, of both kinds: those of the QStash contract, whose messages each have a destination, and
// those that consumers pull from or that push to one webhook.
import { html, useRef, useState } from "../lib.js";
import { send } from "../core/api.js";
import { count } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { linkTo } from "../core/router.js";
import { FormDialog, json, useConfirm } from "../parts/ask.js";
import { List } from "../parts/list.js";
import { PullForm, pullColumns, withRates } from "./pull_queues.js";

const every = 2000; // ms

export default function Queues() {
  return html`<${Contract} /><${Pulled} />`;
}

function Contract() {
  const list = usePolled((signal) => send({ path: "/v2/queues" }, signal), every, []);
  const [dialog, ask] = useConfirm(list.reload);
  const [editing, edit] = useState();
  const path = (q) => `/v2/queues/${encodeURIComponent(q.name)}`;
  const pause = (q) => ask(q.paused
    ? { title: `Let ${q.name} go on?`, text: "Deliveries begin again, in order.", label: "Resume", request: { method: "POST", path: `${path(q)}/resume` }, done: "It goes on." }
    : { title: `Pause ${q.name}?`, text: "Nothing more is delivered until it is resumed. Messages are still taken.", label: "Pause", request: { method: "POST", path: `${path(q)}/pause` }, done: "Paused." });
  const remove = (q) => ask({
    title: `Delete ${q.name}?`, text: `Its ${count(q.lag)} messages that wait are canceled.`, label: "Delete", danger: true,
    request: { method: "DELETE", path: path(q) }, done: "Deleted.",
  });
  const columns = [
    { title: "Queue", grow: true, cell: (q) => html`<a href=${linkTo(["messages"], { queueName: q.name })}>${q.name}</a>` },
    { title: "State", width: "98px", cell: (q) => html`<span class="badge ${q.paused ? "warn" : "good"}">${q.paused ? "paused" : "running"}</span>` },
    { title: "Lag", width: "100px", num: true, cell: (q) => count(q.lag) },
    { title: "Parallelism", width: "110px", num: true, wide: true, cell: (q) => count(q.parallelism) },
    { title: "Actions", width: "210px", cell: (q) => html`<span class="row-actions">
        <button type="button" class="button small" onClick=${() => edit(q)}>Edit</button>
        <button type="button" class="button small" onClick=${() => pause(q)}>${q.paused ? "Resume" : "Pause"}</button>
        <button type="button" class="button small danger" onClick=${() => remove(q)}>Delete</button></span>` },
  ];
  return html`<div class="page-head"><h1>Queues</h1><button type="button" class="button first" onClick=${() => edit({})}>Create a queue</button></div>
    <${List} from=${list} label="Queues" columns=${columns} keyOf=${(q) => q.name}
      empty=${{ title: "No queue yet", text: "Messages of a queue are delivered in order, as many at a time as its parallelism says. A queue is made when a message is enqueued to it, too." }} />
    ${dialog}${editing && html`<${QueueForm} queue=${editing} onClose=${() => edit(undefined)} onDone=${list.reload} />`}`;
}

function QueueForm({ queue, onClose, onDone }) {
  const known = Boolean(queue.name);
  return html`<${FormDialog} title=${known ? `Change ${queue.name}` : "Create a queue"} label=${known ? "Change" : "Create"} done="Done." onClose=${onClose} onDone=${onDone}
    initial=${{ name: queue.name ?? "", parallelism: String(queue.parallelism ?? 1) }}
    fields=${[
      { name: "name", label: "Name", required: true, fixed: known },
      { name: "parallelism", label: "Parallelism", kind: "number", hint: "1: strictly one after the other", required: true },
    ]}
    requestOf=${(v) => json("POST", "/v2/queues", { queueName: v.name, parallelism: Number(v.parallelism) })} />`;
}

function Pulled() {
  const before = useRef();
  const list = usePolled(async (signal) => {
    const [{ queues }, metrics] = await Promise.all([send({ path: "/v1/queues" }, signal), send({ path: "/v1/metrics" }, signal)]);
    const now = { at: Date.now(), metrics: metrics.queues };
    const rows = withRates(queues, now, before.current);
    before.current = now;
    return rows;
  }, every, []);
  const [dialog, ask] = useConfirm(list.reload);
  const [editing, edit] = useState();
  return html`<div class="page-head"><h2>Pull and webhook queues</h2><button type="button" class="button" onClick=${() => edit({})}>Create a pull or webhook queue</button></div>
    <${List} from=${list} label="Pull and webhook queues" columns=${pullColumns(ask, edit)} keyOf=${(q) => q.name}
      empty=${{ title: "No such queue yet", text: "Consumers receive from a pull queue and acknowledge; a webhook queue pushes to one URL." }} />
    ${dialog}${editing && html`<${PullForm} queue=${editing} onClose=${() => edit(undefined)} onDone=${list.reload} />`}`;
}

