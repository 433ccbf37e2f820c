// Tokens of accounts: an admin's token lists, makes and revokes them.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { ago, stamp } from "../core/format.js";
import { useLoad } from "../core/load.js";
import { FormDialog, json, useConfirm } from "../parts/ask.js";
import { Copy } from "../parts/copy.js";
import { List } from "../parts/list.js";

export function Tokens() {
  const list = useLoad((signal) => send({ path: "/v2/tokens" }, signal), []);
  const [dialog, ask] = useConfirm(list.reload);
  const [making, make] = useState(false);
  const [fresh, setFresh] = useState();
  const made = (answer) => {
    setFresh(answer);
    list.reload();
  };
  return html`<div class="actions end"><button type="button" class="button first" onClick=${() => make(true)}>Create a token</button></div>
    ${fresh && html`<div class="notice" role="status"><span class="break">The token is <code>${fresh.token}</code>. It is not shown again.</span><${Copy} text=${fresh.token} label="Copy token" /></div>`}
    <${List} from=${list} label="Tokens" columns=${columnsOf(ask)} keyOf=${(t) => t.id} empty=${{ title: "No token", text: "There is always one, since you are here." }} />
    ${dialog}${making && html`<${TokenForm} onClose=${() => make(false)} onDone=${made} />`}`;
}

const limitsOf = (t) => [...(t.queues ?? []), ...(t.groups ?? []), ...(t.hosts ?? [])].join(", ");

function columnsOf(ask) {
  const revoke = (t) => ask({
    title: "Revoke the token?", text: `${t.name || t.id}: whoever uses it is refused from now on.`, label: "Revoke", danger: true,
    request: { method: "DELETE", path: `/v2/tokens/${encodeURIComponent(t.id)}` }, done: "Revoked.",
  });
  return [
    { title: "Name", grow: true, cell: (t) => html`<span title=${t.id}>${t.name || t.id}</span>` },
    { title: "Account", width: "90px", num: true, wide: true, cell: (t) => t.user },
    { title: "Access", width: "110px", cell: (t) => `${t.access}${t.admin ? ", admin" : ""}` },
    { title: "Limited to", wide: true, cell: limitsOf },
    { title: "Made", width: "140px", wide: true, cell: (t) => stamp(t.createdAt) },
    { title: "Ends", width: "110px", wide: true, cell: (t) => (t.expiresAt ? ago(t.expiresAt) : "never") },
    { title: "Actions", width: "100px", cell: (t) => html`<button type="button" class="button small danger" onClick=${() => revoke(t)}>Revoke</button>` },
  ];
}

const listOf = (text) => (text ?? "").split(",").map((s) => s.trim()).filter(Boolean);

function TokenForm({ onClose, onDone }) {
  const requestOf = (v) => {
    const value = { name: v.name, access: v.access };
    if (v.user) value.user = Number(v.user);
    if (v.admin) value.admin = true;
    if (v.expiresIn) value.expiresIn = v.expiresIn;
    for (const name of ["queues", "groups", "hosts"]) if (listOf(v[name]).length > 0) value[name] = listOf(v[name]);
    return json("POST", "/v2/tokens", value);
  };
  return html`<${FormDialog} title="Create a token" label="Create" done="The token was created." initial=${{ name: "", access: "full", admin: false }}
    fields=${[
      { name: "name", label: "What it is for", required: true },
      { name: "access", label: "Access", kind: "choice", options: [["full", "full"], ["publish", "publish only"], ["read", "read only"]] },
      { name: "user", label: "Account", kind: "number", hint: "Its number; yours if empty" },
      { name: "expiresIn", label: "Ends after", hint: "Such as 90d; never if empty" },
      { name: "queues", label: "Queues", hint: "These only, with commas" },
      { name: "groups", label: "URL groups", hint: "To these only" },
      { name: "hosts", label: "Hosts", hint: "To these only, such as *.example.com" },
      { name: "admin", label: "An admin's", kind: "check" },
    ]}
    requestOf=${requestOf} onClose=${onClose} onDone=${onDone} />`;
}
