// Flow-control keys: how much of each limit is used, as it changes, and pausing, pinning, resetting.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { count } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { linkTo } from "../core/router.js";
import { FormDialog, useConfirm } from "../parts/ask.js";
import { List } from "../parts/list.js";

const every = 1000; // ms

const pathOf = (f, operation) => `/v2/flowControl/${encodeURIComponent(f.flowControlKey)}/${operation}`;
const post = (f, operation, query) => ({ method: "POST", path: pathOf(f, operation), query });

export default function Flow() {
  const list = usePolled((signal) => send({ path: "/v2/flowControl" }, signal), every, []);
  const [dialog, ask] = useConfirm(list.reload);
  const [pinning, pin] = useState();
  return html`<div class="page-head"><h1>Flow control</h1></div>
    <${List} from=${list} label="Flow-control keys" columns=${columnsOf(ask, pin)} keyOf=${(f) => f.flowControlKey}
      empty=${{ title: "No key is in use", text: "A key is there while messages with it wait or run, and while it is paused or pinned." }} />
    ${dialog}${pinning && html`<${Pin} flow=${pinning} onClose=${() => pin(undefined)} onDone=${list.reload} />`}`;
}

const of = (used, most) => (most ? `${count(used)} of ${count(most)}` : "no limit");

function columnsOf(ask, pin) {
  return [
    { title: "Key", grow: true, cell: (f) => html`<a href=${linkTo(["messages"], { flowControlKey: f.flowControlKey })} title=${f.flowControlKey}>${f.flowControlKey}</a>` },
    { title: "State", width: "130px", cell: (f) => html`${f.isPaused ? html`<span class="badge warn">paused</span> ` : ""}${f.isPinnedParallelism || f.isPinnedRate ? html`<span class="badge busy">pinned</span>` : ""}` },
    { title: "Waiting", width: "90px", num: true, cell: (f) => count(f.waitListSize) },
    { title: "Running", width: "120px", num: true, wide: true, cell: (f) => of(f.parallelismCount, f.parallelismMax) },
    { title: "In this period", width: "120px", num: true, wide: true, cell: (f) => of(f.rateCount, f.rateMax) },
    { title: "Period", width: "80px", num: true, wide: true, cell: (f) => (f.rateMax ? `${f.ratePeriod} s` : "") },
    { title: "Actions", width: "260px", cell: (f) => html`<span class="row-actions">
        <button type="button" class="button small" onClick=${() => ask(pauseOf(f))}>${f.isPaused ? "Resume" : "Pause"}</button>
        <button type="button" class="button small" onClick=${() => pin(f)}>Pin</button>
        ${(f.isPinnedParallelism || f.isPinnedRate) && html`<button type="button" class="button small" onClick=${() => ask(unpinOf(f))}>Unpin</button>`}
        <button type="button" class="button small" onClick=${() => ask(resetOf(f))}>Reset</button></span>` },
  ];
}

const pauseOf = (f) => (f.isPaused
  ? { title: "Let the key go on?", text: `Messages of ${f.flowControlKey} are attempted again, within its limits.`, label: "Resume", request: post(f, "resume"), done: "It goes on." }
  : { title: "Pause the key?", text: `No attempt of a message of ${f.flowControlKey} begins until it is resumed.`, label: "Pause", request: post(f, "pause"), done: "Paused." });

const unpinOf = (f) => ({
  title: "Unpin the key?", text: "Its limits are those of the newest message again.", label: "Unpin", done: "Unpinned.",
  request: post(f, "unpin", { parallelism: f.isPinnedParallelism || undefined, rate: f.isPinnedRate || undefined }),
});

const resetOf = (f) => ({
  title: "Reset the rate?", text: "The period begins anew, with all of its attempts.", label: "Reset", request: post(f, "resetRate"), done: "Reset.",
});

function Pin({ flow, onClose, onDone }) {
  return html`<${FormDialog} title=${`Pin ${flow.flowControlKey}`} label="Pin" done="Pinned." onClose=${onClose} onDone=${onDone}
    initial=${{ parallelism: flow.parallelismMax ? String(flow.parallelismMax) : "", rate: flow.rateMax ? String(flow.rateMax) : "", period: flow.rateMax ? `${flow.ratePeriod}s` : "" }}
    fields=${[
      { name: "parallelism", label: "Parallelism", kind: "number", hint: "Attempts at one time" },
      { name: "rate", label: "Rate", kind: "number", hint: "Attempts in a period" },
      { name: "period", label: "Period", hint: "Such as 1s, 1m" },
    ]}
    requestOf=${(v) => post(flow, "pin", { parallelism: v.parallelism, rate: v.rate, period: v.rate && v.period })}>
    <p class="soft">What is pinned stays, whatever newer messages say, until it is unpinned.</p>
  <//>`;
}
