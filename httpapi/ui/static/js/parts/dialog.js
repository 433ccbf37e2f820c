// A modal dialog: the browser's own, which keeps the focus inside and gives it back.
import { html, useEffect, useRef, useState } from "../lib.js";
import { send, isAbort } from "../core/api.js";
import { Curl } from "./curl.js";
import { Failure } from "./state.js";

let titles = 0;

export function Dialog({ title, onClose, children }) {
  const ref = useRef();
  const id = useRef(`dialog-${++titles}`).current;
  useEffect(() => {
    ref.current.showModal();
  }, []);
  const leave = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog class="dialog" ref=${ref} aria-labelledby=${id} onCancel=${leave}>
    <div class="inner"><h2 id=${id}>${title}</h2>${children}</div>
  </dialog>`;
}

// Confirm asks before it sends a request that changes something, and shows the request. onDone
// gets the answer.
export function Confirm({ title, request, label, danger = false, onDone, onClose, children }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState();
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const answer = await send(request);
      onClose();
      onDone(answer);
    } catch (failed) {
      setBusy(false);
      if (!isAbort(failed)) setError(failed);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>${children}</p>
    ${error && html`<${Failure} error=${error} />`}
    <${Curl} request=${request} />
    <div class="actions end">
      <button type="button" class="button" onClick=${onClose}>Leave it</button>
      <button type="button" class="button ${danger ? "danger" : "first"}" disabled=${busy} onClick=${run}>${label}</button>
    </div>
  <//>`;
}
