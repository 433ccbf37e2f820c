// The filters of a listing, kept in the page's address, so that a link leads to what is seen. A
// filter is { name, label, kind: "text" | "time" | "state" }, by its name at the API.
import { html, useState } from "../lib.js";
import { go, route } from "../core/router.js";
import { useStore } from "../core/store.js";
import { fromLocalInput, localInput, stamp } from "../core/format.js";
import { states, wordOf } from "./badge.js";
import { Field, Input } from "./field.js";

// useFilters reads the filters of the address: { name: value or list }.
export function useFilters(filters) {
  const { query } = useStore(route);
  const out = {};
  for (const f of filters) {
    const values = query.getAll(f.name).filter(Boolean);
    if (values.length > 0) out[f.name] = f.kind === "state" ? values : values[0];
  }
  return out;
}

export function Filters({ path, filters, value, children }) {
  const [open, setOpen] = useState(false);
  const set = (name, v) => go(path, { ...value, [name]: v });
  const chips = filters.flatMap((f) => [value[f.name] ?? []].flat().map((v) => ({ f, v })));
  const drop = ({ f, v }) => set(f.name, f.kind === "state" ? value[f.name].filter((s) => s !== v) : undefined);
  return html`<div class="filters">
    <div class="actions">
      <button type="button" class="button small" aria-expanded=${String(open)} onClick=${() => setOpen(!open)}>Filters${chips.length ? ` (${chips.length})` : ""}</button>
      <div class="chips">
        ${chips.map(
          (c) => html`<span class="chip"><span>${c.f.label}: ${textOf(c)}</span>
            <button type="button" aria-label="Remove the filter ${c.f.label} ${textOf(c)}" onClick=${() => drop(c)}>✕</button></span>`,
        )}
      </div>
      ${chips.length > 0 && html`<button type="button" class="button plain small" onClick=${() => go(path)}>Clear all</button>`}
      <span class="actions" style="margin-left: auto">${children}</span>
    </div>
    ${open && html`<${Form} filters=${filters} value=${value} onApply=${(next) => go(path, next)} />`}
  </div>`;
}

const textOf = ({ f, v }) => (f.kind === "time" ? stamp(Number(v)) : f.kind === "state" ? wordOf(v) : v);

function Form({ filters, value, onApply }) {
  const [draft, setDraft] = useState(value);
  const set = (name, v) => setDraft((d) => ({ ...d, [name]: v }));
  const apply = (event) => {
    event.preventDefault();
    onApply(draft);
  };
  return html`<form class="panel inner-pad" onSubmit=${apply}>
    <div class="inner stack">
      ${filters.some((f) => f.kind === "state") && html`<${StatePicker} value=${draft.state ?? []} onValue=${(v) => set("state", v)} />`}
      <div class="fields">
        ${filters.map((f) => f.kind !== "state" && html`<${One} key=${f.name} filter=${f} value=${draft[f.name] ?? ""} onValue=${(v) => set(f.name, v)} />`)}
      </div>
      <div class="actions"><button class="button first">Apply</button></div>
    </div>
  </form>`;
}

function One({ filter, value, onValue }) {
  if (filter.kind === "time") {
    return html`<${Field} label=${filter.label}>
      <input class="input" type="datetime-local" value=${localInput(value)} onInput=${(e) => onValue(fromLocalInput(e.target.value))} />
    <//>`;
  }
  return html`<${Input} label=${filter.label} hint=${filter.hint} value=${value} onValue=${onValue} inputmode=${filter.kind === "number" ? "numeric" : undefined} />`;
}

function StatePicker({ value, onValue }) {
  const toggle = (s) => onValue(value.includes(s) ? value.filter((v) => v !== s) : [...value, s]);
  return html`<div class="actions" role="group" aria-label="States">
    ${states.map(
      (s) => html`<button type="button" class="button small" aria-pressed=${String(value.includes(s))} onClick=${() => toggle(s)}>${wordOf(s)}</button>`,
    )}
  </div>`;
}
