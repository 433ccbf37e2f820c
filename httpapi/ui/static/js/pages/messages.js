// Messages: what happened, newest first, as it happens. The address holds the filters; the first
// segment behind it is a message's id, whose page is message.js.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { count, span, stamp } from "../core/format.js";
import { go, linkTo } from "../core/router.js";
import { useEvents } from "../core/stream.js";
import { Badge } from "../parts/badge.js";
import { Filters, useFilters } from "../parts/filters.js";
import { Live } from "../parts/live.js";
import { Empty, Failure, Loading } from "../parts/state.js";
import { Table } from "../parts/table.js";
import Message from "./message.js";

const pageSize = 100;
const rowsMost = 10_000; // beyond, the oldest go
const heldMost = 1000; // events that came while the list was read further down

const filters = [
  { name: "state", label: "State", kind: "state" },
  { name: "messageId", label: "Message id" },
  { name: "url", label: "URL" },
  { name: "host", label: "Host" },
  { name: "path", label: "Path" },
  { name: "label", label: "Label" },
  { name: "queueName", label: "Queue" },
  { name: "topicName", label: "URL group" },
  { name: "scheduleId", label: "Schedule" },
  { name: "flowControlKey", label: "Flow-control key" },
  { name: "callerIp", label: "Caller's IP" },
  { name: "fromDate", label: "From", kind: "time" },
  { name: "toDate", label: "To", kind: "time" },
];

export default function Messages({ path }) {
  const query = useFilters(filters);
  return path[0] ? html`<${Message} id=${path[0]} key=${path[0]} />` : html`<${List} query=${query} key=${JSON.stringify(query)} />`;
}

const columns = [
  { title: "Time", width: "132px", cell: (r) => stamp(r.time) },
  { title: "State", width: "104px", cell: (r) => html`<${Badge} state=${r.state} />` },
  { title: "Message", width: "224px", grow: true, cell: (r) => html`<a class="mono" href=${linkTo(["messages", r.id])} title=${r.id}>${r.id}</a>` },
  { title: "Destination", wide: true, cell: (r) => html`<span title=${r.url}>${r.url}</span>` },
  { title: "Attempt", width: "76px", num: true, wide: true, cell: (r) => r.attempt ?? "" },
  { title: "Answer", width: "180px", wide: true, cell: (r) => r.answer },
  { title: "Took", width: "90px", num: true, wide: true, cell: (r) => (r.took === undefined ? "" : span(r.took)) },
];

// rowOf keeps of an event what the list shows: ten thousand bodies would be too much for a tab.
let serial = 0;
const rowOf = (e) => ({
  key: ++serial,
  mark: `${e.messageId} ${e.state} ${e.time} ${e.tidemill?.attempt ?? 0}`,
  id: e.messageId,
  time: e.time,
  state: e.state,
  url: e.url,
  attempt: e.tidemill?.attempt,
  answer: e.error || (e.responseStatus ? String(e.responseStatus) : ""),
  took: e.tidemill?.timingMicros ? e.tidemill.timingMicros.total / 1000 : undefined,
});

// List is of one set of filters: with others it is made anew.
function List({ query }) {
  const list = useListing(query);
  const [live, setLive] = useState(true);
  const ended = Boolean(query.toDate && Number(query.toDate) < Date.now());
  const state = useEvents(streamOf(query), list.add, live && !ended);
  useEffect(() => {
    // When the stream begins, or begins again, what happened before it is asked for.
    if (state === "live") list.latest();
    else if (state !== "connecting" && state !== "paused" && list.rows.length === 0) list.latest();
  }, [state]);
  return html`<div class="page-head"><h1>Messages</h1></div>
    <${Filters} path=${["messages"]} filters=${filters} value=${query}>
      <${Live} state=${ended ? "off" : state} />
      <button type="button" class="button small" aria-pressed=${String(live)} onClick=${() => setLive(!live)}>Follow</button>
    <//>
    ${list.error && html`<${Failure} error=${list.error} retry=${list.latest} />`}
    <section class="panel">
      <${Rows} list=${list} filtered=${Object.keys(query).length > 0} />
    </section>`;
}

// streamOf leaves out what would begin the stream in the past: the listing has that.
function streamOf({ fromDate, ...query }) {
  return query;
}

function Rows({ list, filtered }) {
  if (list.rows.length === 0 && list.loading) return html`<${Loading} what="Asking for messages" />`;
  if (list.rows.length === 0) {
    return filtered
      ? html`<${Empty} title="Nothing matches">Remove a filter, or wait: what happens from now on is shown as it comes.<//>`
      : html`<${Empty} title="No message yet"><a href=${linkTo(["publish"])}>Publish one</a>, and see here what becomes of it.<//>`;
  }
  return html`<${Table} label="Messages" rows=${list.rows} columns=${columns} keyOf=${(r) => r.key} onOpen=${(r) => go(["messages", r.id])}
      onEnd=${list.more} onTop=${list.setTop} />
    <div class="table-foot">
      <span>${count(list.rows.length)} entries${list.cursor ? "" : ", to the end of what is kept"}</span>
      ${list.held > 0 && html`<button type="button" class="button small" onClick=${list.release}>${count(list.held)} new: show</button>`}
      ${list.loading && html`<span role="status">Asking for older ones…</span>`}
    </div>`;
}

// useListing holds the rows: a first page, older ones as they are asked for, and new ones on top.
// While the list is read further down, new ones are held back, so that nothing moves.
function useListing(query) {
  const [rows, setRows] = useState([]);
  const [cursor, setCursor] = useState();
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState();
  const [held, setHeld] = useState([]);
  const top = useRef(true);
  const busy = useRef();
  const shown = useRef(rows);
  shown.current = rows;

  const fetchPage = useCallback(async (from) => {
    busy.current?.abort();
    const control = new AbortController();
    busy.current = control;
    setLoading(true);
    try {
      const page = await send({ path: "/v2/logs", query: { ...query, count: pageSize, cursor: from } }, control.signal);
      const found = page.events.map(rowOf);
      const joins = !from && overlap(found, shown.current);
      if (!joins) setCursor(page.cursor);
      setError(undefined);
      setRows((old) => (from ? merge(old, found) : renew(old, found, joins)).slice(0, rowsMost));
    } catch (failed) {
      if (isAbort(failed)) return;
      setError(failed);
    }
    setLoading(false);
  }, []);

  useEffect(() => () => busy.current?.abort(), []);

  const release = useCallback(() => {
    if (held.length === 0) return;
    setRows((old) => merge(held, old).slice(0, rowsMost));
    setHeld([]);
  }, [held]);

  return useMemo(() => ({
    rows, cursor, loading, error, held: held.length, release,
    latest: () => fetchPage(),
    more: () => cursor && !loading && !error && rows.length < rowsMost && fetchPage(cursor),
    setTop: (is) => {
      top.current = is;
      if (is) release();
    },
    add: (events) => {
      const fresh = events.map(rowOf).reverse();
      if (top.current) setRows((old) => merge(fresh, old).slice(0, rowsMost));
      else setHeld((old) => [...fresh, ...old].slice(0, heldMost));
    },
  }), [rows, cursor, loading, error, held, fetchPage, release]);
}

// overlap says whether a newest page reaches what is listed: else there may be a gap between them.
function overlap(page, rows) {
  const marks = new Set(rows.map((r) => r.mark));
  return page.some((r) => marks.has(r.mark));
}

// renew puts a newest page into what is listed: below what the stream has brought meanwhile, and
// above the rest if that joins.
function renew(old, page, joins) {
  const marks = new Set(page.map((r) => r.mark));
  const rest = old.filter((r) => !marks.has(r.mark));
  const newest = page[0]?.time ?? 0;
  return [...rest.filter((r) => r.time > newest), ...page, ...(joins ? rest.filter((r) => r.time <= newest) : [])];
}

// merge puts two lists one behind the other, newest first; what both have stays once.
function merge(above, below) {
  const seen = new Set(above.map((r) => r.mark));
  return [...above, ...below.filter((r) => !seen.has(r.mark))];
}
