// Signing in: a token of the API, which is tried before it is kept.
import { html, useState } from "../lib.js";
import { open } from "../core/api.js";
import { session, signIn } from "../core/session.js";
import { useStore } from "../core/store.js";
import { Field } from "../parts/field.js";
import { sentence } from "../parts/state.js";

export function SignIn({ icon }) {
  const { why } = useStore(session);
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState(why);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const refused = await tryToken(token.trim());
    setBusy(false);
    if (refused) setProblem(refused);
    else signIn(token.trim());
  };
  return html`<main class="sign-in">
    <form class="panel" onSubmit=${submit}>
      <h1 class="brand"><img src=${icon} alt="" />Tidemill</h1>
      <${Field} label="Token" hint="It stays in this tab, and is forgotten when the tab is closed.">
        <input class="input" type="password" name="token" autocomplete="off" spellcheck=${false} autofocus required
          value=${token} onInput=${(e) => setToken(e.target.value)} />
      <//>
      ${problem && html`<p class="notice bad" role="alert"><span>${problem}</span></p>`}
      <button class="button first" disabled=${busy || token.trim() === ""}>Sign in</button>
      <p class="soft">The server prints a token at its first start and keeps it in credentials.toml; others are made with <code>tidemill token create</code>.</p>
    </form>
  </main>`;
}

// tryToken returns why a token is not good, or nothing. One that may do a part only is good.
async function tryToken(token) {
  if (!/^[\x21-\x7e]+$/.test(token)) return "A token has visible ASCII characters only: copy it again.";
  try {
    await open({ path: "/v2/stats" }, undefined, token);
    return undefined;
  } catch (error) {
    if (error.status === 403) return undefined;
    return error.status === 401 ? "The server does not know this token." : sentence(error.message);
  }
}
