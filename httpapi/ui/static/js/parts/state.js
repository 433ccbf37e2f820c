// What a page shows when it has nothing else: it waits, it failed, or there is nothing yet. Each
// says what to do.
import { html } from "../lib.js";

export const Loading = ({ what = "Loading" }) => html`<div class="state" role="status">${what}…</div>`;

export const Empty = ({ title, children }) => html`<div class="state"><strong>${title}</strong><p>${children}</p></div>`;

const advice = {
  0: "Is it running, and is the network there? What is shown below may be old.",
  403: "Sign in with a token that may do this.",
  404: "It has ended and is no longer kept, or it has never been.",
  429: "It is at a limit: wait a moment, then try again.",
  503: "It is at a limit or stopping: wait a moment, then try again.",
};

// Failure tells an error in its place, and offers to try again.
export function Failure({ error, retry }) {
  return html`<div class="notice bad" role="alert">
    <span class="break"><strong>${sentence(error.message)}</strong> ${advice[error.status] ?? ""}</span>
    ${retry && html`<button type="button" class="button small" onClick=${retry}>Try again</button>`}
  </div>`;
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");
