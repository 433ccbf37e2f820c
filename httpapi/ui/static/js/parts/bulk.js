// Many dead letters retried or deleted: in calls of a hundred, with how far it is, and a way to
// stop. What was done until then stays done.
import { html, useRef, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { count } from "../core/format.js";
import { Curl } from "./curl.js";
import { Dialog } from "./dialog.js";
import { Failure } from "./state.js";
import { toast } from "./toast.js";

const perCall = 100;

const verbs = {
  retry: { title: "Retry", past: "retried", method: "POST", path: "/v2/dlq/retry", done: (answer) => answer.responses.length },
  delete: { title: "Delete", past: "deleted", method: "DELETE", path: "/v2/dlq", done: (answer) => answer.deleted },
};

// Bulk carries out work: { verb, ids } or { verb, query }, filters of which none mean all.
export function Bulk({ work, onClose, onDone }) {
  const verb = verbs[work.verb];
  const [state, setState] = useState({ at: "asked", done: 0 });
  const control = useRef();
  const run = async () => {
    control.current = new AbortController();
    let done = state.done;
    setState({ at: "running", done });
    try {
      for await (const n of calls(verb, work, control.current.signal)) setState({ at: "running", done: (done += n) });
      toast(`${count(done)} ${verb.past}.`);
      onClose();
    } catch (error) {
      setState({ at: isAbort(error) ? "stopped" : "failed", done, error });
    }
    onDone();
  };
  const what = work.ids ? `${count(work.ids.length)} dead letters` : "all dead letters that match";
  const leave = () => {
    control.current?.abort();
    onClose();
  };
  return html`<${Dialog} title="${verb.title} ${what}?" onClose=${leave}>
    <p>${work.verb === "retry" ? "Each is published again as a new message and leaves the queue." : "They are gone for good: nothing brings them back."}</p>
    <${Progress} state=${state} total=${work.ids?.length} verb=${verb} />
    ${state.at === "failed" && html`<${Failure} error=${state.error} />`}
    <${Curl} request=${requestOf(verb, work, work.ids?.slice(0, perCall))} />
    <div class="actions end">
      ${state.at === "running"
        ? html`<button type="button" class="button" onClick=${() => control.current.abort()}>Stop</button>`
        : html`<button type="button" class="button" onClick=${leave}>${state.at === "asked" ? "Leave them" : "Close"}</button>`}
      ${state.at === "asked" &&
      html`<button type="button" class="button ${work.verb === "delete" ? "danger" : "first"}" onClick=${run}>${verb.title} ${what}</button>`}
    </div>
  <//>`;
}

function Progress({ state, total, verb }) {
  if (state.at === "asked") return null;
  const part = total ? Math.min(100, (100 * state.done) / total) : undefined;
  return html`<div role="status">
    ${part !== undefined && html`<div class="bar"><div style="width: ${part}%"></div></div>`}
    <p>${count(state.done)}${total ? ` of ${count(total)}` : ""} ${verb.past}${state.at === "stopped" ? ", then stopped" : ""}</p>
  </div>`;
}

// calls makes them and yields how many each has done.
async function* calls(verb, work, signal) {
  if (work.ids) {
    for (let at = 0; at < work.ids.length; at += perCall) {
      yield verb.done(await send(requestOf(verb, work, work.ids.slice(at, at + perCall)), signal));
    }
    return;
  }
  for (let cursor; ; ) {
    const answer = await send(requestOf(verb, work, undefined, cursor), signal);
    yield verb.done(answer);
    if (!answer.cursor) return;
    cursor = answer.cursor;
  }
}

function requestOf(verb, work, ids, cursor) {
  const query = ids ? { dlqIds: ids.join(",") } : { ...work.query, count: perCall, cursor };
  return { method: verb.method, path: verb.path, query };
}
