// A table that draws the rows which are in sight, and a few more, of however many there are. Rows
// are of one height. The arrow keys, Home and End move between rows, Enter opens one.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib.js";

const rowHeight = 34; // px; --row in css/base.css
const spare = 10; // rows drawn above and below what is in sight

// Table draws rows with columns { title, width, num, wide, grow, cell(row) }; on a phone wide ones are
// left out, and one that grows has what is left. keyOf names a row; onOpen opens one; onEnd is called
// near the end, onTop with whether the first row is in sight; selected is a Set of keys, changed by
// onSelect. A short one is as high as its rows, up to a bound.
export function Table({ label, rows, columns, keyOf, onOpen, onEnd, onTop, selected, onSelect, short }) {
  const box = useRef();
  const [range, setRange] = useState({ from: 0, to: 60 });
  const look = () => {
    const { scrollTop, clientHeight } = box.current;
    const from = Math.max(0, Math.floor(scrollTop / rowHeight) - spare);
    const to = Math.ceil((scrollTop + clientHeight) / rowHeight) + spare;
    setRange((old) => (old.from === from && old.to === to ? old : { from, to }));
    onTop?.(scrollTop < rowHeight);
    if (to >= rows.length) onEnd?.();
  };
  useLayoutEffect(look, [rows.length]);
  useEffect(() => {
    const watch = new ResizeObserver(look);
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [rows.length]);
  const from = Math.min(range.from, Math.max(0, rows.length - 1));
  const to = Math.min(range.to, rows.length);
  const all = selected && rows.length > 0 && rows.every((r) => selected.has(keyOf(r)));
  const width = columns.length + (selected ? 1 : 0);
  const toggle = (key, on) => {
    const next = new Set(selected);
    if (on) next.add(key);
    else next.delete(key);
    onSelect(next);
  };
  return html`<div class="table-box ${short ? "short" : "tall"}" ref=${box} onScroll=${look} onKeyDown=${moveBy} tabindex="0" role="region" aria-label=${label}>
    <table class="table" aria-rowcount=${rows.length + 1}>
      <thead>
        <tr aria-rowindex="1">
          ${selected &&
          html`<th style="width: 38px"><input type="checkbox" aria-label="Select all rows that are listed" checked=${all} onChange=${() => onSelect(new Set(all ? [] : rows.map(keyOf)))} /></th>`}
          ${columns.map((c) => html`<th scope="col" class=${classOf(c)} style=${c.width ? `width: ${c.width}` : ""}>${c.title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${from > 0 && html`<tr class="gap" aria-hidden="true" key="above"><td colspan=${width} style="height: ${from * rowHeight}px"></td></tr>`}
        ${rows.slice(from, to).map((row, i) => {
          const key = keyOf(row);
          return html`<${Row} key=${key} row=${row} id=${key} index=${from + i + 2} columns=${columns} onOpen=${onOpen}
            selected=${selected?.has(key)} onToggle=${selected && toggle} />`;
        })}
        ${to < rows.length &&
        html`<tr class="gap" aria-hidden="true" key="below"><td colspan=${width} style="height: ${(rows.length - to) * rowHeight}px"></td></tr>`}
      </tbody>
    </table>
  </div>`;
}

const classOf = (c) => ["num", "wide", "grow"].filter((name) => c[name]).join(" ");

function Row({ row, id, index, columns, selected, onToggle, onOpen }) {
  const open = (event) => !event.target.closest("a, button, input") && !String(getSelection()) && onOpen?.(row);
  return html`<tr aria-rowindex=${index} aria-selected=${onToggle ? String(Boolean(selected)) : undefined} onClick=${open}>
    ${onToggle &&
    html`<td><input type="checkbox" aria-label="Select this row" checked=${selected} onChange=${(e) => onToggle(id, e.target.checked)} /></td>`}
    ${columns.map((c) => html`<td class=${classOf(c)}>${c.cell(row)}</td>`)}
  </tr>`;
}

// moveBy gives the focus to the link of the row that an arrow key leads to.
function moveBy(event) {
  const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };
  const step = steps[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea")) return;
  const rows = [...event.currentTarget.querySelectorAll("tbody tr:not(.gap)")];
  const at = rows.findIndex((r) => r.contains(document.activeElement));
  const next = rows[at < 0 ? 0 : at + step]?.querySelector("a, input, button");
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
