// What became of a schedule's last messages, and when it publishes next.
import { html } from "../lib.js";
import { linkTo } from "../core/router.js";

const tones = { SUCCESS: "good", FAIL: "bad", IN_PROGRESS: "busy" };

// RunStates are links to messages: { id: state }.
export function RunStates({ states }) {
  const list = Object.entries(states ?? {});
  if (list.length === 0) return html`<span class="soft">none yet</span>`;
  return html`${list.map(
    ([id, state]) => html`<a class="badge ${tones[state] ?? ""}" href=${linkTo(["messages", id])} title=${id}>${state.toLowerCase().replace("_", " ")}</a> `,
  )}`;
}

// Ticks list the times of GET /v2/schedules/.../next, with what is odd about one, such as a change
// of the clock.
export function Ticks({ list }) {
  if (list.length === 0) return html`<p class="soft">It never publishes.</p>`;
  return html`<ol class="ticks">${list.map(
    (t) => html`<li class=${t.skipped ? "skipped" : ""}>
      <time datetime=${new Date(t.time).toISOString()}>${t.local.replace("T", " ")}</time>
      ${t.skipped && html`<span class="badge">left out</span>`}
      ${t.note && html`<span class="badge warn">${t.note}</span>`}
    </li>`,
  )}</ol>`;
}
