// The state of a message, as a word and a colour.
import { html } from "../lib.js";

const tones = {
  CREATED: "",
  ACTIVE: "busy",
  IN_PROGRESS: "busy",
  RETRY: "warn",
  ERROR: "warn",
  CANCEL_REQUESTED: "warn",
  DELIVERED: "good",
  FAILED: "bad",
  CANCELED: "",
};

// states are those that the logs API filters by.
export const states = ["CREATED", "ACTIVE", "RETRY", "ERROR", "DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELED"];

export const toneOf = (state) => tones[state] ?? "";

export const wordOf = (state) => state.toLowerCase().replace("_", " ");

export const Badge = ({ state }) => html`<span class="badge ${toneOf(state)}">${wordOf(state)}</span>`;
