// A button that copies a text. Where the browser has no clipboard for us, as without TLS, it says so.
import { html } from "../lib.js";
import { toast } from "./toast.js";

export function Copy({ text, label = "Copy" }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied.");
    } catch {
      toast("The browser does not let this page copy: select the text and copy it by hand.", "bad");
    }
  };
  return html`<button type="button" class="button plain small" onClick=${copy}>${label}</button>`;
}
