// A form with every option of a publish, and the curl command for what it says.
import { html, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { linkTo } from "../core/router.js";
import { emptyForm, publishRequest } from "../core/message.js";
import { fromLocalInput, localInput } from "../core/format.js";
import { store } from "../core/store.js";
import { Area, Check, Choice, Field, Input } from "../parts/field.js";
import { Curl } from "../parts/curl.js";
import { Failure } from "../parts/state.js";
import { toast } from "../parts/toast.js";

// draft is the form as it was left; others put a message into it to have it published again.
export const draft = store(emptyForm);

const contentTypes = ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/xml", "application/octet-stream"];

export default function Publish() {
  const [form, setForm] = useState(draft.get());
  const [error, setError] = useState();
  const [sent, setSent] = useState();
  const [busy, setBusy] = useState(false);
  const change = (name) => (value) => {
    const next = { ...form, [name]: value };
    draft.set(next);
    setForm(next);
  };
  const bind = (name) => ({ value: form[name], onValue: change(name) });
  const request = publishRequest(form);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      setSent([await send(request)].flat());
      toast("Published.");
    } catch (failed) {
      if (!isAbort(failed)) setError(failed);
    }
    setBusy(false);
  };
  const clear = () => {
    draft.set(emptyForm);
    setForm(emptyForm);
    setSent(undefined);
    setError(undefined);
  };
  return html`<div class="page-head"><h1>Publish a message</h1>
      <button type="button" class="button" onClick=${clear}>Clear the form</button></div>
    <form class="form" onSubmit=${submit}>
      <${What} form=${form} bind=${bind} />
      <${When} bind=${bind} form=${form} change=${change} />
      <${Limits} bind=${bind} />
      <${Rest} bind=${bind} />
      ${error && html`<${Failure} error=${error} />`}
      ${sent && html`<${Sent} list=${sent} />`}
      <div class="actions"><button class="button first" disabled=${busy || !form.destination.trim()}>Publish</button></div>
    </form>
    <section class="panel"><div class="inner"><${Curl} request=${request} open=${true} /></div></section>`;
}

function Sent({ list }) {
  return html`<div class="notice" role="status"><span>
    ${list.map(
      (r) => html`<span class="break">${r.scheduleId ? `Schedule ${r.scheduleId} was created. ` : ""}
        ${r.messageId && html`<a href=${linkTo(["messages", r.messageId])}>${r.messageId}</a>`}
        ${r.deduplicated ? " was published before: this one is a duplicate." : ""}
        ${r.error ? `Refused: ${r.error}` : ""} </span>`,
    )}
  </span></div>`;
}

function What({ form, bind }) {
  const types = contentTypes.includes(form.contentType) ? contentTypes : [form.contentType, ...contentTypes];
  return html`<fieldset class="panel"><div class="inner stack">
    <legend class="legend-row">Message</legend>
    <${Input} label="Destination" hint="A URL, or the name of a URL group" name="destination" required ...${bind("destination")} />
    <${Area} label="Body" name="body" ...${bind("body")} />
    <div class="fields">
      <${Choice} label="Content type" options=${types} ...${bind("contentType")} />
      <${Choice} label="Method" options=${["POST", "GET", "PUT", "PATCH", "DELETE"]} ...${bind("method")} />
      <${Input} label="Queue" hint="Delivered in order, one after the other" ...${bind("queue")} />
      <${Input} label="Ordering key" hint="Order within the queue for this key only" ...${bind("orderingKey")} />
    </div>
    <${Pairs} label="Forwarded headers" add="Add a header" names="Name" ...${bind("headers")} />
  </div></fieldset>`;
}

function When({ form, bind, change }) {
  return html`<fieldset class="panel"><div class="inner stack">
    <legend class="legend-row">Delivery</legend>
    <div class="fields">
      <${Input} label="Delay" hint="Such as 30s, 10m, 2d" ...${bind("delay")} />
      <${Field} label="Not before"><input class="input" type="datetime-local" value=${localInput(form.notBefore)}
        onInput=${(e) => change("notBefore")(fromLocalInput(e.target.value))} /><//>
      <${Input} label="Retries" hint="After the first attempt; 3 by default" inputmode="numeric" ...${bind("retries")} />
      <${Input} label="Retry delay" hint="Milliseconds, such as pow(2, retried) * 1000" ...${bind("retryDelay")} />
      <${Input} label="Timeout" hint="Of one attempt, such as 30s" ...${bind("timeout")} />
      <${Input} label="Callback" hint="URL that hears of each attempt" ...${bind("callback")} />
      <${Input} label="Failure callback" hint="URL that hears when it is given up" ...${bind("failureCallback")} />
      <${Input} label="Cron" hint="Makes a schedule, such as 0 9 * * 1" ...${bind("cron")} />
    </div>
  </div></fieldset>`;
}

function Limits({ bind }) {
  return html`<fieldset class="panel"><div class="inner stack">
    <legend class="legend-row">Flow control</legend>
    <div class="fields">
      <${Input} label="Key" hint="Messages with one key share its limits" ...${bind("flowKey")} />
      <${Input} label="Rate" hint="Attempts in a period" inputmode="numeric" ...${bind("flowRate")} />
      <${Input} label="Period" hint="Such as 1s, 1m" ...${bind("flowPeriod")} />
      <${Input} label="Parallelism" hint="Attempts at one time" inputmode="numeric" ...${bind("flowParallelism")} />
      <${Choice} label="Mode" options=${[["fixed", "fixed periods"], ["sliding", "sliding"]]} ...${bind("flowMode")} />
    </div>
  </div></fieldset>`;
}

function Rest({ bind }) {
  const { value, onValue } = bind("dedupContent");
  return html`<fieldset class="panel"><div class="inner stack">
    <legend class="legend-row">Labels, deduplication and the rest</legend>
    <div class="fields">
      <${Input} label="Labels" hint="Up to ten, with commas between them" ...${bind("labels")} />
      <${Input} label="Deduplication id" ...${bind("dedupId")} />
      <${Input} label="Redact" hint="body, headers, headers[Name]" ...${bind("redact")} />
    </div>
    <${Check} label="Deduplicate by content" value=${value} onValue=${onValue} />
    <${Pairs} label="Other options" add="Add an option" names="Upstash-Callback-Retries" ...${bind("more")} />
  </div></fieldset>`;
}

// Pairs edits a list of [name, value].
function Pairs({ label, add, names, value, onValue }) {
  const set = (at, part, text) => onValue(value.map((pair, i) => (i === at ? pair.with(part, text) : pair)));
  return html`<div class="pairs" role="group" aria-label=${label}>
    ${value.length > 0 && html`<span class="label">${label}</span>`}
    ${value.map(
      (pair, i) => html`<div class="pair" key=${i}>
        <input class="input" aria-label="${label}: name" placeholder=${names} value=${pair[0]} onInput=${(e) => set(i, 0, e.target.value)} />
        <input class="input" aria-label="${label}: value" value=${pair[1]} onInput=${(e) => set(i, 1, e.target.value)} />
        <button type="button" class="button plain" aria-label="Remove ${pair[0] || "this line"}" onClick=${() => onValue(value.toSpliced(i, 1))}>✕</button>
      </div>`,
    )}
    <div><button type="button" class="button small" onClick=${() => onValue([...value, ["", ""]])}>${add}</button></div>
  </div>`;
}
