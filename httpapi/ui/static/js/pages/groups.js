// URL groups and their endpoints. The first segment behind it is a group's name.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { count, stamp } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { go, linkTo } from "../core/router.js";
import { FormDialog, json, useConfirm } from "../parts/ask.js";
import { List } from "../parts/list.js";

const every = 5000; // ms

export default function Groups({ path }) {
  return path[0] ? html`<${One} name=${path[0]} key=${path[0]} />` : html`<${All} />`;
}

const pathOf = (name) => `/v2/topics/${encodeURIComponent(name)}`;

const columns = [
  { title: "Group", grow: true, cell: (g) => html`<a href=${linkTo(["groups", g.name])}>${g.name}</a>` },
  { title: "Endpoints", width: "100px", num: true, cell: (g) => count(g.endpoints?.length ?? 0) },
  { title: "Changed", width: "140px", wide: true, cell: (g) => stamp(g.updatedAt) },
];

function All() {
  const list = usePolled((signal) => send({ path: "/v2/topics" }, signal), every, []);
  const [making, make] = useState(false);
  return html`<div class="page-head"><h1>URL groups</h1><button type="button" class="button first" onClick=${() => make(true)}>Create a group</button></div>
    <${List} from=${list} label="URL groups" columns=${columns} keyOf=${(g) => g.name} onOpen=${(g) => go(["groups", g.name])}
      empty=${{ title: "No URL group yet", text: "A message to a group goes to each of its endpoints, as a message of its own." }} />
    ${making && html`<${EndpointForm} onClose=${() => make(false)} onDone=${list.reload} />`}`;
}

function EndpointForm({ group, onClose, onDone }) {
  const fields = [
    { name: "url", label: "URL of the endpoint", required: true },
    { name: "name", label: "Name of the endpoint", hint: "May be empty" },
  ];
  if (!group) fields.unshift({ name: "group", label: "Name of the group", required: true });
  const requestOf = (v) => json("POST", `${pathOf(group ?? v.group ?? "")}/endpoints`, { endpoints: [{ url: v.url ?? "", ...(v.name ? { name: v.name } : {}) }] });
  return html`<${FormDialog} title=${group ? `Add an endpoint to ${group}` : "Create a URL group"} label=${group ? "Add" : "Create"} done="Done."
    fields=${fields} requestOf=${requestOf} onClose=${onClose} onDone=${onDone} />`;
}

function One({ name }) {
  const list = usePolled((signal) => send({ path: pathOf(name) }, signal).then((g) => g.endpoints ?? []), every, [name]);
  const [dialog, ask] = useConfirm(list.reload);
  const [adding, add] = useState(false);
  const last = list.data?.length === 1;
  const remove = (e) => ask({
    title: "Remove the endpoint?", label: "Remove", danger: true, done: "Removed.", then: () => last && go(["groups"]),
    text: `${e.url} gets no message of ${name} that is published from now on.${last ? " It is the last one: the group goes with it." : ""}`,
    request: json("DELETE", `${pathOf(name)}/endpoints`, { endpoints: [e.name ? { name: e.name } : { url: e.url }] }),
  });
  const drop = () => ask({
    title: `Delete ${name}?`, text: "Publishes to it are refused from now on. Messages that it was given are delivered.", label: "Delete", danger: true,
    request: { method: "DELETE", path: pathOf(name) }, done: "Deleted.", then: () => go(["groups"]),
  });
  const endpoints = [
    { title: "URL", grow: true, cell: (e) => html`<span title=${e.url}>${e.url}</span>` },
    { title: "Name", width: "200px", wide: true, cell: (e) => e.name ?? "" },
    { title: "Actions", width: "110px", cell: (e) => html`<button type="button" class="button small danger" onClick=${() => remove(e)}>Remove</button>` },
  ];
  return html`<div class="page-head"><h1 class="break">${name}</h1>
      <a class="button" href=${linkTo(["messages"], { topicName: name })}>Its messages</a>
      <button type="button" class="button first" onClick=${() => add(true)}>Add an endpoint</button>
      <button type="button" class="button danger" onClick=${drop}>Delete</button></div>
    <${List} from=${list} label="Endpoints" columns=${endpoints} keyOf=${(e) => e.url} empty=${{ title: "No endpoint", text: "Add one: messages to a group without endpoints are refused." }} />
    ${dialog}${adding && html`<${EndpointForm} group=${name} onClose=${() => add(false)} onDone=${list.reload} />`}`;
}
