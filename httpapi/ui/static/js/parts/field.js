// Fields of forms: a label above, a hint below, the input between.
import { html } from "../lib.js";

export function Field({ label, hint, children }) {
  return html`<label class="field"><span class="label">${label}</span>${children}${hint && html`<span class="hint">${hint}</span>`}</label>`;
}

export function Input({ label, hint, value, onValue, ...rest }) {
  return html`<${Field} label=${label} hint=${hint}>
    <input class="input" value=${value} onInput=${(e) => onValue(e.target.value)} autocomplete="off" spellcheck=${false} ...${rest} />
  <//>`;
}

export function Area({ label, hint, value, onValue, ...rest }) {
  return html`<${Field} label=${label} hint=${hint}>
    <textarea class="input" value=${value} onInput=${(e) => onValue(e.target.value)} spellcheck=${false} ...${rest}></textarea>
  <//>`;
}

// Choice is one of options, which are values or [value, text].
export function Choice({ label, hint, value, onValue, options }) {
  return html`<${Field} label=${label} hint=${hint}>
    <select class="input" value=${value} onChange=${(e) => onValue(e.target.value)}>
      ${options.map((o) => {
        const [v, text] = [o].flat();
        return html`<option value=${v} selected=${v === value}>${text ?? v}</option>`;
      })}
    </select>
  <//>`;
}

export function Check({ label, value, onValue }) {
  return html`<label class="check"><input type="checkbox" checked=${value} onChange=${(e) => onValue(e.target.checked)} />${label}</label>`;
}

// Switch is a row of buttons of which one is pressed.
export function Switch({ label, value, onValue, options }) {
  return html`<div class="group" role="group" aria-label=${label}>
    ${options.map(
      ([v, text]) => html`<button type="button" class="button small" aria-pressed=${String(v === value)} onClick=${() => onValue(v)}>${text}</button>`,
    )}
  </div>`;
}
