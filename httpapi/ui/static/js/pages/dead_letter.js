// One dead letter: why it was given up, what it was, and a way out of the queue.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { clock, day } from "../core/format.js";
import { useLoad } from "../core/load.js";
import { bodyOf, responseOf } from "../core/message.js";
import { go, linkTo } from "../core/router.js";
import { Body, Headers } from "../parts/body.js";
import { Confirm } from "../parts/dialog.js";
import { Facts } from "../parts/facts.js";
import { Failure, Loading } from "../parts/state.js";
import { toast } from "../parts/toast.js";
import { factsOf } from "./message.js";

export default function DeadLetter({ id }) {
  const path = `/v2/dlq/${encodeURIComponent(id)}`;
  const { data, error, reload } = useLoad((signal) => send({ path }, signal), [id]);
  return html`<div class="page-head">
      <h1 class="break">Dead letter <span class="mono">${id}</span></h1>
      ${data && html`<${Actions} id=${id} path=${path} />`}
    </div>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<div class="halves"><div class="stack"><${Why} letter=${data} /></div><div class="stack"><${What} letter=${data} /></div></div>`}`;
}

function Actions({ id, path }) {
  const [dialog, setDialog] = useState();
  const close = () => setDialog(undefined);
  return html`<div class="actions">
    <button type="button" class="button first" onClick=${() => setDialog("retry")}>Retry</button>
    <button type="button" class="button danger" onClick=${() => setDialog("delete")}>Delete</button>
    ${dialog === "retry" &&
    html`<${Confirm} title="Retry this message?" label="Retry" onClose=${close}
      request=${{ method: "POST", path: `/v2/dlq/retry/${encodeURIComponent(id)}` }}
      onDone=${({ messageId }) => (toast("Published again."), go(["messages", messageId]))}>
      It leaves the queue and is published as a new message, with all its retries.<//>`}
    ${dialog === "delete" &&
    html`<${Confirm} title="Delete this dead letter?" label="Delete" danger=${true} onClose=${close} request=${{ method: "DELETE", path }}
      onDone=${() => (toast("Deleted."), go(["dlq"]))}>
      It is gone for good: nothing brings it back.<//>`}
  </div>`;
}

function Why({ letter }) {
  const givenUp = Number(letter.dlqId.split("-")[0]);
  return html`<section class="panel"><header><h2>Why it was given up</h2></header>
    <div class="inner stack">
      <${Facts} list=${[
        ["Reason", letter.error],
        ["Answer", letter.responseStatus || "none"],
        ["Given up", `${day(givenUp)} ${clock(givenUp)}`],
        ["History", html`<a href=${linkTo(["messages", letter.messageId])}>every attempt of ${letter.messageId}</a>`],
      ]} />
      <${Headers} headers=${letter.responseHeader} title="Headers of the answer" />
      <${Body} bytes=${responseOf(letter)} title="Body of the answer" />
    </div></section>`;
}

function What({ letter }) {
  return html`<section class="panel"><header><h2>Message</h2></header>
    <div class="inner stack">
      <${Facts} list=${[["Message", letter.messageId], ...factsOf(letter)]} />
      <${Headers} headers=${letter.header} />
      <${Body} bytes=${bodyOf(letter)} />
    </div></section>`;
}
