// The command that does what the button beside it does.
import { html } from "../lib.js";
import { curlOf } from "../core/curl.js";
import { Copy } from "./copy.js";

export function Curl({ request, open = false, title = "As a curl command" }) {
  const text = curlOf(request);
  return html`<details class="curl" open=${open}>
    <summary>${title}</summary>
    <div class="code-head"><span class="soft">QSTASH_TOKEN holds the token</span><${Copy} text=${text} label="Copy command" /></div>
    <pre class="code" tabindex="0" aria-label="curl command">${text}</pre>
  </details>`;
}
