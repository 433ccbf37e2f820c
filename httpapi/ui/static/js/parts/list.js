// A page that is a list: its rows, or why there are none.
import { html } from "../lib.js";
import { count } from "../core/format.js";
import { Empty, Failure, Loading } from "./state.js";
import { Table } from "./table.js";

// List draws what usePolled returned, whose data are rows; empty is { title, text }.
export function List({ from, label, columns, keyOf, onOpen, empty }) {
  const rows = from.data ?? [];
  return html`${from.error && html`<${Failure} error=${from.error} retry=${from.reload} />`}
    ${rows.length === 0 && from.loading && html`<section class="panel"><${Loading} /></section>`}
    ${rows.length === 0 && from.data && html`<section class="panel"><${Empty} title=${empty.title}>${empty.text}<//></section>`}
    ${rows.length > 0 &&
    html`<section class="panel">
      <${Table} label=${label} rows=${rows} columns=${columns} keyOf=${keyOf} onOpen=${onOpen} short=${true} />
      <div class="table-foot"><span>${count(rows.length)} in all</span></div>
    </section>`}`;
}
