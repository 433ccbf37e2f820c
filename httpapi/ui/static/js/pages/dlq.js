// The dead letter queue: what was given up, to be looked at, retried or deleted, one by one, those
// that are chosen, or all that match. The first segment behind it is a dead letter's id.
import { html, useEffect, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { count, stamp } from "../core/format.js";
import { go, linkTo } from "../core/router.js";
import { Bulk } from "../parts/bulk.js";
import { Filters, useFilters } from "../parts/filters.js";
import { Empty, Failure, Loading } from "../parts/state.js";
import { Table } from "../parts/table.js";
import DeadLetter from "./dead_letter.js";

const rowsMost = 10_000;
const pageSize = 100;

const filters = [
  { name: "messageId", label: "Message id" },
  { name: "url", label: "URL" },
  { name: "label", label: "Label" },
  { name: "queueName", label: "Queue" },
  { name: "topicName", label: "URL group" },
  { name: "scheduleId", label: "Schedule" },
  { name: "flowControlKey", label: "Flow-control key" },
  { name: "callerIp", label: "Caller's IP" },
  { name: "responseStatus", label: "Status of the answer", hint: "0: there was none", kind: "number" },
  { name: "fromDate", label: "From", kind: "time" },
  { name: "toDate", label: "To", kind: "time" },
];

export default function DeadLetters({ path }) {
  return path[0] ? html`<${DeadLetter} id=${path[0]} key=${path[0]} />` : html`<${List} />`;
}

const columns = [
  { title: "Given up", width: "132px", cell: (d) => stamp(d.time) },
  { title: "Message", width: "224px", grow: true, cell: (d) => html`<a class="mono" href=${linkTo(["dlq", d.dlqId])} title=${d.messageId}>${d.messageId}</a>` },
  { title: "Destination", wide: true, cell: (d) => html`<span title=${d.url}>${d.url}</span>` },
  { title: "Status", width: "70px", num: true, cell: (d) => d.responseStatus || "–" },
  { title: "Reason", wide: true, cell: (d) => html`<span title=${d.error}>${d.error}</span>` },
];

// rowOf leaves the bodies out. An id begins with the time at which the message was given up.
const rowOf = ({ dlqId, messageId, url, responseStatus, error }) => ({ dlqId, messageId, url, responseStatus, error, time: Number(dlqId.split("-")[0]) });

function List() {
  const query = useFilters(filters);
  const key = JSON.stringify(query);
  const list = useDeadLetters(query, key);
  const [selected, setSelected] = useState(new Set());
  const [work, setWork] = useState();
  useEffect(() => setSelected(new Set()), [key]);
  const done = () => {
    setSelected(new Set());
    list.reload();
  };
  return html`<div class="page-head"><h1>Dead letters</h1><button type="button" class="button" onClick=${list.reload}>Refresh</button></div>
    <${Filters} path=${["dlq"]} filters=${filters} value=${query} key=${key} />
    <${Choices} list=${list} selected=${selected} query=${query} onWork=${setWork} />
    ${list.error && html`<${Failure} error=${list.error} retry=${list.reload} />`}
    <section class="panel"><${Rows} list=${list} filtered=${key !== "{}"} selected=${selected} onSelect=${setSelected} /></section>
    ${work && html`<${Bulk} work=${work} onClose=${() => setWork(undefined)} onDone=${done} />`}`;
}

// Choices are what can be done with those that are chosen, or with all that match.
function Choices({ list, selected, query, onWork }) {
  const ids = [...selected];
  const none = list.rows.length === 0;
  return html`<div class="actions">
    <button type="button" class="button first" disabled=${ids.length === 0} onClick=${() => onWork({ verb: "retry", ids })}>Retry ${ids.length ? count(ids.length) : "chosen"}</button>
    <button type="button" class="button danger" disabled=${ids.length === 0} onClick=${() => onWork({ verb: "delete", ids })}>Delete ${ids.length ? count(ids.length) : "chosen"}</button>
    <button type="button" class="button" disabled=${none} onClick=${() => onWork({ verb: "retry", query })}>Retry all that match</button>
    <button type="button" class="button" disabled=${none} onClick=${() => onWork({ verb: "delete", query })}>Delete all that match</button>
  </div>`;
}

function Rows({ list, filtered, selected, onSelect }) {
  if (list.rows.length === 0 && list.loading) return html`<${Loading} what="Asking for dead letters" />`;
  if (list.rows.length === 0) {
    return filtered
      ? html`<${Empty} title="Nothing matches">Remove a filter to see more.<//>`
      : html`<${Empty} title="No dead letters">Messages come here when their retries are used up. Nothing has failed for good.<//>`;
  }
  return html`<${Table} label="Dead letters" rows=${list.rows} columns=${columns} keyOf=${(d) => d.dlqId} onOpen=${(d) => go(["dlq", d.dlqId])}
      onEnd=${list.more} selected=${selected} onSelect=${onSelect} />
    <div class="table-foot"><span>${count(list.rows.length)} listed${list.cursor ? ", more below" : ""}</span>
      ${list.loading && html`<span role="status">Asking…</span>`}</div>`;
}

function useDeadLetters(query, key) {
  const [state, setState] = useState({ rows: [], loading: true });
  const [turn, setTurn] = useState({ n: 0 });
  useEffect(() => {
    const control = new AbortController();
    setState((s) => ({ ...s, loading: true }));
    send({ path: "/v2/dlq", query: { ...query, order: "latestFirst", count: pageSize, cursor: turn.cursor } }, control.signal).then(
      (page) => setState((s) => {
        const rows = page.messages.map(rowOf);
        return { rows: (turn.cursor ? [...s.rows, ...rows] : rows).slice(0, rowsMost), cursor: page.cursor, loading: false };
      }),
      (error) => !isAbort(error) && setState((s) => ({ ...s, error, loading: false })),
    );
    return () => control.abort();
  }, [key, turn]);
  useEffect(() => setTurn({ n: 0 }), [key]);
  return {
    ...state,
    reload: () => setTurn((t) => ({ n: t.n + 1 })),
    more: () => state.cursor && !state.loading && !state.error && state.rows.length < rowsMost && setTurn((t) => ({ n: t.n + 1, cursor: state.cursor })),
  };
}
