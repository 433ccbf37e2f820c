// One message: its timeline, what it is, and what can be done with it. It follows the message's
// events while it is open.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { ago, clock, day, span, stamp } from "../core/format.js";
import { useLoad } from "../core/load.js";
import { bodyOf, bodyOfEvent, formOf, labelsOf, publishRequest, responseOfEvent } from "../core/message.js";
import { go, linkTo } from "../core/router.js";
import { useEvents } from "../core/stream.js";
import { partsOf, stepsOf } from "../core/timeline.js";
import { Badge } from "../parts/badge.js";
import { Body, Headers } from "../parts/body.js";
import { Copy } from "../parts/copy.js";
import { Confirm, Dialog } from "../parts/dialog.js";
import { Facts } from "../parts/facts.js";
import { Live } from "../parts/live.js";
import { Empty, Failure, Loading } from "../parts/state.js";
import { toast } from "../parts/toast.js";
import { draft } from "./publish.js";

const eventsMost = 1000;
const finals = ["DELIVERED", "FAILED", "CANCELED"];

export default function Message({ id }) {
  const { data, error, loading, reload } = useLoad((signal) => fetchMessage(id, signal), [id]);
  const last = data?.events.at(-1);
  const live = useEvents({ messageId: id }, reload, !finals.includes(last?.state));
  return html`<div class="page-head">
      <h1 class="mono break">${id}</h1>
      ${last && html`<${Badge} state=${last.state} />`}
      <${Live} state=${live} />
      <${Copy} text=${id} label="Copy id" />
      ${data?.known && html`<${Actions} id=${id} data=${data} last=${last} reload=${reload} />`}
    </div>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Loading} />`}
    ${data && !data.known && html`<${Empty} title="There is nothing about this message">Its history is no longer kept, or there has never been one with this id.<//>`}
    ${data?.known && html`<div class="halves">
      <div class="stack"><${Timeline} events=${data.events} created=${data.events[0]?.time} /></div>
      <div class="stack"><${About} message=${data.message} bytes=${data.bytes} /><${Callbacks} message=${data.message} id=${id} /></div>
    </div>`}`;
}

// fetchMessage reads the history of a message and, while it is pending, the message itself.
async function fetchMessage(id, signal) {
  const history = await send({ path: "/v2/events", query: { messageId: id, order: "earliestFirst", count: eventsMost } }, signal);
  const pending = finals.includes(history.events.at(-1)?.state) ? undefined : await fetchPending(id, signal);
  const first = history.events.find((e) => e.method) ?? history.events[0];
  const message = pending ?? first;
  if (!message) return { known: false, events: [] };
  return { known: true, events: history.events, message, bytes: pending ? bodyOf(pending) : bodyOfEvent(first) };
}

async function fetchPending(id, signal) {
  try {
    return await send({ path: `/v2/messages/${encodeURIComponent(id)}` }, signal);
  } catch (error) {
    if (error.status === 404) return undefined; // it has just ended
    throw error;
  }
}

function Actions({ id, data, last, reload }) {
  const [dialog, setDialog] = useState();
  const form = formOf(data.message, data.bytes);
  const ended = finals.includes(last?.state);
  const close = () => setDialog(undefined);
  const edit = () => {
    draft.set(form);
    go(["publish"]);
  };
  return html`<div class="actions">
    <button type="button" class="button danger" disabled=${ended || last?.state === "CANCEL_REQUESTED"} onClick=${() => setDialog("cancel")}>Cancel</button>
    <button type="button" class="button" onClick=${() => setDialog("again")}>Publish again</button>
    ${dialog === "cancel" &&
    html`<${Confirm} title="Cancel this message?" label="Cancel the message" danger=${true} onClose=${close}
      request=${{ method: "DELETE", path: `/v2/messages/${encodeURIComponent(id)}` }}
      onDone=${() => (toast("Canceled."), reload())}>
      It will not be delivered. An attempt that is under way ends first.<//>`}
    ${dialog === "again" && form &&
    html`<${Confirm} title="Publish this message again?" label="Publish" onClose=${close} request=${publishRequest(form)}
      onDone=${(answer) => published(answer)}>
      A new message with the same body, headers and options is published, to be delivered now.
      <button type="button" class="button small" onClick=${edit}>Change it first</button><//>`}
    ${dialog === "again" && !form &&
    html`<${Dialog} title="This message cannot be published again from here" onClose=${close}>
      <p>Its body is no longer kept, or is no text. <code>tidemill replay</code> publishes bodies of any kind while they are kept (retention.bodies).</p>
      <div class="actions end"><button type="button" class="button" onClick=${close}>Close</button></div><//>`}
  </div>`;
}

function published(answer) {
  const [first] = [answer].flat();
  toast("Published.");
  go(["messages", first.messageId]);
}

function Timeline({ events, created }) {
  const steps = stepsOf(events);
  return html`<section class="panel"><header><h2>Timeline</h2></header>
    <div class="inner">
      ${steps.length === 0
        ? html`<p class="soft">Its history is no longer kept.</p>`
        : html`<ol class="timeline">${steps.map((s, i) => html`<${Step} key=${`${s.kind} ${s.time} ${i}`} step=${s} created=${created} />`)}</ol>`}
    </div></section>`;
}

function Step({ step, created }) {
  const { event } = step;
  const timing = step.kind === "attempt" && event.tidemill?.timingMicros;
  return html`<li class=${step.tone}>
    <div class="step-head">
      <strong>${step.title}</strong>
      ${step.kind === "attempt" && html`<${Outcome} event=${event} />`}
      <time datetime=${new Date(step.time).toISOString()} title="${day(step.time)} ${clock(step.time)}">${clock(step.time)}${step.time > created ? `, +${span(step.time - created)}` : ""}</time>
    </div>
    ${step.text && html`<p class="soft break">${step.text}</p>`}
    ${step.kind === "end" && step.tone === "bad" && html`<p><a href=${linkTo(["dlq"], { messageId: event.messageId })}>Its dead letter</a>, if it was not retried or deleted since.</p>`}
    ${step.until > Date.now() && html`<p class="soft">Due ${stamp(step.until)}, ${ago(step.until)}.</p>`}
    ${timing && html`<${Split} timing=${timing} />`}
    ${step.kind === "attempt" && (event.responseStatus || event.responseBody) && html`<${Answer} event=${event} />`}
  </li>`;
}

function Outcome({ event }) {
  if (event.state === "ACTIVE") return html`<span class="soft">under way</span>`;
  const what = event.responseStatus ? `answered ${event.responseStatus}` : "no answer";
  const took = event.tidemill?.timingMicros ? ` after ${span(event.tidemill.timingMicros.total / 1000)}` : "";
  return html`<span class="soft">${what}${took}</span>`;
}

// Split shows where the time of an attempt went, from when it was due.
function Split({ timing }) {
  const parts = partsOf(timing).map((p, i) => ({ ...p, tone: i + 1 })).filter((p) => p.ms > 0);
  const total = parts.reduce((sum, p) => sum + p.ms, 0);
  if (total === 0) return null;
  return html`<div class="split" aria-hidden="true">
      ${parts.map((p) => html`<span class="split-${p.tone}" style="width: ${(100 * p.ms) / total}%"></span>`)}
    </div>
    <div class="keys">${parts.map((p) => html`<span class="key-${p.tone}"><i></i>${p.name} ${span(p.ms)}</span>`)}</div>`;
}

function Answer({ event }) {
  return html`<details class="more"><summary>The answer</summary>
    <div class="stack">
      <${Headers} headers=${event.responseHeader} title="Headers of the answer" />
      <${Body} bytes=${responseOfEvent(event)} title="Body of the answer" expired=${event.bodyExpired} />
    </div></details>`;
}

function About({ message, bytes }) {
  return html`<section class="panel"><header><h2>Message</h2></header>
    <div class="inner stack">
      <${Facts} list=${factsOf(message)} />
      <${Headers} headers=${message.header} />
      <${Body} bytes=${bytes} expired=${message.bodyExpired} />
    </div></section>`;
}

export function factsOf(m) {
  const flow = [m.rate && `rate ${m.rate}`, m.period && `period ${m.period} s`, m.parallelism && `parallelism ${m.parallelism}`].filter(Boolean);
  return [
    ["Destination", m.url],
    ["Method", m.method],
    ["Published", m.createdAt && `${day(m.createdAt)} ${clock(m.createdAt)}`],
    ["Not before", m.notBefore > m.createdAt && `${day(m.notBefore)} ${clock(m.notBefore)}`],
    ["Queue", m.queueName],
    ["Ordering key", m.tidemill?.orderingKey],
    ["URL group", m.topicName],
    ["Endpoint", m.endpointName],
    ["Schedule", m.scheduleId],
    ["Labels", labelsOf(m).join(", ")],
    ["Retries", m.maxRetries],
    ["Retry delay", m.retryDelayExpression],
    ["Timeout", m.timeout && span(m.timeout)],
    ["Flow control", m.flowControlKey && [m.flowControlKey, ...flow].join(", ")],
    ["Callback", m.callback],
    ["Failure callback", m.failureCallback],
    ["Published from", m.callerIP],
  ];
}

// Callbacks finds the messages that report on this one. No filter of the API leads to them: they
// go to its callback's URL, not before it was published, and name it in their bodies.
function Callbacks({ message, id }) {
  const urls = [message.callback, message.failureCallback].filter(Boolean);
  const { data = [], error, reload } = useLoad((signal) => findCallbacks(urls, message, id, signal), [id, urls.join()]);
  if (urls.length === 0) return null;
  return html`<section class="panel"><header><h2>Callbacks</h2><button type="button" class="button plain small" onClick=${reload}>Look again</button></header>
    <div class="inner">
      ${error && html`<${Failure} error=${error} retry=${reload} />`}
      ${data.length === 0 && !error && html`<p class="soft">None yet.</p>`}
      <ul class="stack">${data.map((c) => html`<li class="actions" key=${c.messageId}><${Badge} state=${c.state} />
        <a class="mono break" href=${linkTo(["messages", c.messageId])}>${c.messageId}</a> <span class="soft break">${c.url}</span></li>`)}</ul>
    </div></section>`;
}

async function findCallbacks(urls, message, id, signal) {
  if (urls.length === 0) return [];
  const query = { url: urls, fromDate: message.createdAt ?? message.time, order: "earliestFirst", count: eventsMost };
  const { events } = await send({ path: "/v2/events", query }, signal);
  const found = new Map();
  for (const event of events) if (reportsOn(event, id)) found.set(event.messageId, event);
  return [...found.values()];
}

function reportsOn(event, id) {
  try {
    return JSON.parse(new TextDecoder().decode(bodyOfEvent(event))).sourceMessageId === id;
  } catch {
    return false;
  }
}
