// Settings: signing keys, tokens, limits; one of them at a time, by the first segment behind.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { count, size, span } from "../core/format.js";
import { useLoad } from "../core/load.js";
import { linkTo } from "../core/router.js";
import { useConfirm } from "../parts/ask.js";
import { Copy } from "../parts/copy.js";
import { Facts } from "../parts/facts.js";
import { Failure, Loading } from "../parts/state.js";
import { Tokens } from "./tokens.js";

const tabs = { keys: ["Signing keys", Keys], tokens: ["Tokens", Tokens], limits: ["Limits", Limits] };

export default function Settings({ path }) {
  const at = tabs[path[0]] ? path[0] : "keys";
  const [, View] = tabs[at];
  return html`<div class="page-head"><h1>Settings</h1>
      <nav class="group" aria-label="Settings">${Object.entries(tabs).map(
        ([key, [title]]) => html`<a class="button small" href=${linkTo(["settings", key])} aria-current=${key === at ? "page" : undefined}>${title}</a>`,
      )}</nav></div>
    <${View} />`;
}

function Keys() {
  const { data, error, reload } = useLoad((signal) => send({ path: "/v2/keys" }, signal), []);
  const [dialog, ask] = useConfirm(reload);
  const rotate = () => ask({
    title: "Rotate the signing keys?", label: "Rotate", danger: true, done: "Rotated.", request: { method: "POST", path: "/v2/keys/rotate" },
    text: "The next key becomes the current one, and a new next key is made. A receiver that does not know the present next key refuses deliveries from then on.",
  });
  if (error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return html`<section class="panel"><header><h2>Signing keys</h2><button type="button" class="button small danger" onClick=${rotate}>Rotate</button></header>
    <div class="inner stack">
      <${Secret} name="Current" value=${data.current} variable="QSTASH_CURRENT_SIGNING_KEY" />
      <${Secret} name="Next" value=${data.next} variable="QSTASH_NEXT_SIGNING_KEY" />
      <ol class="steps soft">
        <li>Deliveries are signed with the current key. Receivers accept both, so that a rotation loses none.</li>
        <li>To rotate, first see that every receiver has both keys that stand here; then rotate.</li>
        <li>Give receivers the two keys that stand here afterwards. Until then they verify with what was the next key.</li>
      </ol>
    </div></section>${dialog}`;
}

function Secret({ name, value, variable }) {
  const [shown, show] = useState(false);
  return html`<div class="secret"><span><strong>${name}</strong> <code class="soft">${variable}</code></span>
    <code class="break">${shown ? value : "•".repeat(12)}</code>
    <span class="actions"><button type="button" class="button small" aria-label="${shown ? "Hide" : "Show"} the ${name.toLowerCase()} key" onClick=${() => show(!shown)}>${shown ? "Hide" : "Show"}</button>
      <${Copy} text=${value} label="Copy ${name.toLowerCase()} key" /></span></div>`;
}

// Limits are what the API tells of the configuration; all of it `tidemill config show` tells.
function Limits() {
  const { data, error, reload } = useLoad(async (signal) => {
    const [quota, parallelism] = await Promise.all([send({ path: "/v1/quota" }, signal), send({ path: "/v2/globalParallelism" }, signal)]);
    return { ...quota, ...parallelism };
  }, []);
  if (error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return html`<section class="panel"><header><h2>Limits that are in force</h2></header><div class="inner stack">
    <${Facts} list=${[
      ["Attempts at one time", `${count(data.parallelismCount)} of ${count(data.parallelismMax)}`],
      ["Largest message", size(data.maxMessageSize)],
      ["Longest delay", span(data.maxDelay * 1000)],
      ["Most retries", count(data.maxRetries)],
      ["Time for an attempt", span(data.timeout * 1000)],
      ["History is kept", span(data.retention * 1000)],
      ["Schedules", count(data.maxSchedules)],
      ["URL groups", count(data.maxTopics)],
      ["Endpoints of a group", count(data.maxEndpointsPerTopic)],
    ]} />
    <p class="soft">On the server, <code>tidemill config show --origin</code> prints every setting and where it is from.</p>
  </div></section>`;
}
