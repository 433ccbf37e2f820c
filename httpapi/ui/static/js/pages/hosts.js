// Hosts that messages go to now: which of them fail, and how much waits for each.
import { html } from "../lib.js";
import { send } from "../core/api.js";
import { ago, count } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { linkTo } from "../core/router.js";
import { List } from "../parts/list.js";

const every = 2000; // ms

const columns = [
  { title: "Host", grow: true, cell: (h) => html`<a href=${linkTo(["messages"], { host: nameOf(h.host) })}>${h.host}</a>` },
  { title: "State", width: "240px", cell: (h) => html`<${State} host=${h} />` },
  { title: "In flight", width: "100px", num: true, cell: (h) => count(h.inFlight) },
  { title: "Messages", width: "110px", num: true, wide: true, cell: (h) => count(h.messages) },
];

// nameOf is what the filter of the logs calls a host: without its scheme.
const nameOf = (host) => host.replace(/^\w+:\/\//, "");

function State({ host }) {
  if (!host.halfOpen) return html`<span class="badge good">answers</span>`;
  return html`<span class="badge bad">does not answer</span> <span class="soft">next try ${ago(host.nextProbe)}</span>`;
}

export default function Hosts() {
  const list = usePolled((signal) => send({ path: "/v2/hosts" }, signal), every, []);
  return html`<div class="page-head"><h1>Hosts</h1></div>
    <${List} from=${list} label="Hosts" columns=${columns} keyOf=${(h) => h.host}
      empty=${{ title: "No message goes anywhere now", text: "Hosts are listed while messages to them are due within a minute, wait or are in flight." }} />`;
}
