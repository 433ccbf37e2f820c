// Short messages at the corner: what was done, or why not. One that tells of a failure stays
// until it is closed.
import { html } from "../lib.js";
import { store, useStore } from "../core/store.js";

const shownMost = 4;
const shownFor = 6000; // ms

const toasts = store([]);
let next = 1;

export function toast(text, tone = "good") {
  const id = next++;
  toasts.set([...toasts.get(), { id, text, tone }].slice(-shownMost));
  if (tone === "good") setTimeout(() => close(id), shownFor);
}

const close = (id) => toasts.set(toasts.get().filter((t) => t.id !== id));

export function Toasts() {
  const list = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${list.map(
      (t) => html`<div class="toast ${t.tone}" key=${t.id}>
        <span>${t.text}</span>
        <button type="button" class="button plain small" aria-label="Close this message" onClick=${() => close(t.id)}>✕</button>
      </div>`,
    )}
  </div>`;
}
