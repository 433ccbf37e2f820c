// Asking before something is changed, in two forms: useConfirm for what needs a yes, FormDialog for
// what needs values. Both show the request that they make.
import { html, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { Curl } from "./curl.js";
import { Confirm, Dialog } from "./dialog.js";
import { Area, Check, Choice, Input } from "./field.js";
import { Failure } from "./state.js";
import { toast } from "./toast.js";

// useConfirm returns a dialog to be drawn, and what opens it: ask({ title, text, label, danger,
// request, done, then }). done is told when it went well, then(answer) and after() are called.
export function useConfirm(after) {
  const [what, ask] = useState();
  const finish = (answer) => {
    toast(what.done);
    what.then?.(answer);
    after?.();
  };
  const dialog = what && html`<${Confirm} ...${what} onClose=${() => ask(undefined)} onDone=${finish}>${what.text}<//>`;
  return [dialog, ask];
}

// FormDialog edits values of fields { name, label, hint, kind, options, required }; kind is "text",
// "number", "check", "choice" or "area". requestOf makes the request of the values, all of them texts
// or booleans; children are drawn above the fields.
export function FormDialog({ title, fields, initial = {}, requestOf, label, done, onDone, onClose, children }) {
  const [values, setValues] = useState(initial);
  const [error, setError] = useState();
  const [busy, setBusy] = useState(false);
  const request = requestOf(values);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const answer = await send(request);
      onClose();
      toast(done);
      onDone?.(answer);
    } catch (failed) {
      setBusy(false);
      if (!isAbort(failed)) setError(failed);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${children}
      <div class="fields">
        ${fields.map((f) => html`<${One} key=${f.name} field=${f} value=${values[f.name] ?? ""} onValue=${(v) => setValues((old) => ({ ...old, [f.name]: v }))} />`)}
      </div>
      ${error && html`<${Failure} error=${error} />`}
      <${Curl} request=${request} />
      <div class="actions end">
        <button type="button" class="button" onClick=${onClose}>Leave it</button>
        <button class="button first" disabled=${busy}>${label}</button>
      </div>
    </form>
  <//>`;
}

const kinds = { area: Area, check: Check, choice: Choice };

function One({ field, value, onValue }) {
  const Kind = kinds[field.kind] ?? Input;
  const extra = field.kind === "choice" ? { options: field.options } : { required: field.required, readonly: field.fixed };
  if (field.kind === "number") extra.inputmode = "decimal";
  return html`<${Kind} label=${field.label} hint=${field.hint} value=${value} onValue=${onValue} ...${field.kind === "check" ? {} : extra} />`;
}

// numbersOf takes the fields that hold numbers out of texts; what is empty is left out.
export function numbersOf(values, names) {
  return Object.fromEntries(names.filter((n) => values[n] !== undefined && values[n] !== "").map((n) => [n, Number(values[n])]));
}

export const json = (method, path, value) => ({ method, path, headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
