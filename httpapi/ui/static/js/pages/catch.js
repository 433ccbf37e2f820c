// What arrived at the receiver of `tidemill dev`, newest first. A server that is not in development
// has none.
import { html, useRef, useState } from "../lib.js";
import { base, send } from "../core/api.js";
import { fromBase64 } from "../core/bytes.js";
import { size, stamp } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { linkTo } from "../core/router.js";
import { Body } from "../parts/body.js";
import { Copy } from "../parts/copy.js";
import { Facts } from "../parts/facts.js";
import { List } from "../parts/list.js";
import { Empty } from "../parts/state.js";

const every = 1000; // ms
const shownMost = 1000;

const columnsOf = (show) => [
  { title: "Time", width: "120px", cell: (a) => stamp(a.time) },
  { title: "Request", grow: true, cell: (a) => html`<button type="button" class="link" title=${a.target} onClick=${() => show(a)}>${a.method} ${a.target}</button>` },
  { title: "Message", width: "224px", wide: true, cell: (a) => a.messageId && html`<a class="mono" href=${linkTo(["messages", a.messageId])}>${a.messageId}</a>` },
  { title: "Retried", width: "76px", num: true, wide: true, cell: (a) => a.retried ?? "" },
  { title: "Signature", width: "160px", cell: (a) => html`<span class="badge ${toneOf(a.verdict)}" title=${a.verdict}>${a.verdict.toLowerCase()}</span>` },
  { title: "Size", width: "84px", num: true, wide: true, cell: (a) => size(a.bytes) },
];

const toneOf = (verdict) => ({ "signature verified": "good", "not signed": "" })[verdict] ?? "bad";

export default function Catch() {
  const seen = useRef([]);
  const [shown, show] = useState();
  const list = usePolled(async (signal) => {
    const { arrivals } = await send({ path: "/dev/arrivals", query: { since: seen.current[0]?.number } }, signal);
    if (arrivals.length > 0) seen.current = [...arrivals.reverse(), ...seen.current].slice(0, shownMost);
    return seen.current;
  }, every, []);
  const address = `${base.href}dev/catch/hello`;
  if (list.error?.status === 404) {
    return html`<${Empty} title="There is no receiver here"><code>tidemill dev</code> has one, at /dev/catch/: it takes every request and lists it on this page.<//>`;
  }
  return html`<div class="page-head"><h1>Catch</h1><span class="soft break">Publish to <code>${address}</code></span><${Copy} text=${address} label="Copy address" /></div>
    <${List} from=${list} label="Arrivals" columns=${columnsOf(show)} keyOf=${(a) => a.number} onOpen=${show}
      empty=${{ title: "Nothing has arrived yet", text: "Publish a message to the address above, and see here what its receiver gets." }} />
    ${shown && html`<${Arrival} arrival=${shown} key=${shown.number} />`}`;
}

function Arrival({ arrival: a }) {
  return html`<section class="panel" aria-label="Arrival"><header><h2 class="break">${a.method} ${a.target}</h2></header><div class="inner stack">
    <${Facts} list=${[["Signature", a.verdict], ...a.header]} />
    <${Body} bytes=${fromBase64(a.body)} />
    ${a.bytes > 32768 && html`<p class="soft">The beginning of ${size(a.bytes)}.</p>`}
  </div></section>`;
}
