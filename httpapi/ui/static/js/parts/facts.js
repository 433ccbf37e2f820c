// A list of names and values; what has no value is left out.
import { html } from "../lib.js";

export function Facts({ list }) {
  const there = list.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return html`<dl class="facts">${there.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
