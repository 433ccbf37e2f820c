// A body: as indented JSON, as text, or as bytes. It is always text for the page, whatever is
// in it; of a long one the beginning is shown until more is asked for.
import { html, useMemo, useState } from "../lib.js";
import { hexOf, prettyOf, textOf } from "../core/bytes.js";
import { size } from "../core/format.js";
import { Copy } from "./copy.js";
import { Switch } from "./field.js";

const step = 32 << 10; // bytes or characters that are shown at first, and more with each click

export function Body({ bytes, title = "Body", expired = false }) {
  const views = useMemo(() => viewsOf(bytes), [bytes]);
  const [chosen, choose] = useState();
  const [most, setMost] = useState(step);
  if (expired) return html`<p class="soft">${title}: no longer kept.</p>`;
  if (bytes.length === 0) return html`<p class="soft">${title}: empty.</p>`;
  const view = views.find((v) => v.name === chosen) ?? views[0];
  const text = view.text(most);
  return html`<div>
    <div class="code-head">
      <span><strong>${title}</strong> <span class="soft">${size(bytes.length)}</span></span>
      <${Switch} label="How the body is shown" value=${view.name} onValue=${choose} options=${views.map((v) => [v.name, v.name])} />
      <${Copy} text=${textOf(bytes) ?? hexOf(bytes)} />
    </div>
    <pre class="code" tabindex="0" aria-label=${title}>${text}</pre>
    ${view.length > most &&
    html`<p class="actions soft">Only the beginning is shown. <button type="button" class="button small" onClick=${() => setMost(most * 4)}>Show more</button></p>`}
  </div>`;
}

function viewsOf(bytes) {
  const text = textOf(bytes);
  const pretty = prettyOf(text);
  const views = [];
  if (pretty !== undefined) views.push({ name: "JSON", length: pretty.length, text: (n) => pretty.slice(0, n) });
  if (text !== undefined) views.push({ name: "Text", length: text.length, text: (n) => text.slice(0, n) });
  views.push({ name: "Hex", length: bytes.length * 4, text: (n) => hexOf(bytes.subarray(0, n / 4)) });
  return views;
}

// Headers lists header lines: { name: [values] }.
export function Headers({ headers, title = "Headers" }) {
  const lines = Object.entries(headers ?? {}).flatMap(([name, values]) => [values].flat().map((v) => `${name}: ${v}`));
  if (lines.length === 0) return null;
  return html`<details class="more"><summary>${title} (${lines.length})</summary><pre class="code" tabindex="0" aria-label=${title}>${lines.join("\n")}</pre></details>`;
}
