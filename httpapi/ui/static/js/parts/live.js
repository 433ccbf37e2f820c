// Whether a list follows what happens.
import { html } from "../lib.js";

const words = {
  live: "Live",
  connecting: "Connecting",
  broken: "Connection lost, trying again",
  refused: "The server refuses the stream",
  paused: "Paused",
  off: "Not live",
};

export function Live({ state }) {
  const tone = state === "live" ? "on" : state === "broken" || state === "refused" ? "off" : "";
  return html`<span class="live ${tone}" role="status"><i></i>${words[state]}</span>`;
}
