// The application: the sign-in, or the frame with its navigation and the page of the address.
// Pages are loaded when they are first shown.
import { html, useEffect, useErrorBoundary, useRef, useState } from "./lib.js";
import { useStore } from "./core/store.js";
import { linkTo, route } from "./core/router.js";
import { session, signOut } from "./core/session.js";
import { theme, toggleTheme } from "./core/theme.js";
import { Empty, Loading } from "./parts/state.js";
import { Toasts } from "./parts/toast.js";
import { SignIn } from "./pages/sign_in.js";

const icon = new URL("../icon.svg", import.meta.url).href;

// pages are those of the navigation, by the first segment of the address. load brings the module, whose default is the page.
const pages = {
  overview: { title: "Overview", load: () => import("./pages/overview.js") },
  messages: { title: "Messages", load: () => import("./pages/messages.js") },
  dlq: { title: "Dead letters", load: () => import("./pages/dlq.js") },
  publish: { title: "Publish", load: () => import("./pages/publish.js") },
  schedules: { title: "Schedules", load: () => import("./pages/schedules.js") },
  queues: { title: "Queues", load: () => import("./pages/queues.js") },
  flow: { title: "Flow control", load: () => import("./pages/flow.js") },
  groups: { title: "URL groups", load: () => import("./pages/groups.js") },
  hosts: { title: "Hosts", load: () => import("./pages/hosts.js") },
  catch: { title: "Catch", load: () => import("./pages/catch.js") },
  settings: { title: "Settings", load: () => import("./pages/settings.js") },
};

export function App() {
  const { token } = useStore(session);
  return html`${token ? html`<${Frame} />` : html`<${SignIn} icon=${icon} />`}<${Toasts} />`;
}

function Frame() {
  const { path } = useStore(route);
  const name = path[0] ?? "overview";
  const main = useRef();
  const first = useRef(true);
  useEffect(() => {
    document.title = `${pages[name]?.title ?? "Not found"} · Tidemill`;
    if (!first.current) main.current.focus(); // a screen reader goes on from the new page
    first.current = false;
  }, [name, path[1]]);
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${(e) => (e.preventDefault(), main.current.focus())}>Skip to the page</a>
    <header class="side">
      <div class="brand"><img src=${icon} alt="" />Tidemill</div>
      <nav class="nav" aria-label="Pages">
        ${Object.entries(pages).map(
          ([key, page]) => html`<a href=${linkTo([key])} aria-current=${key === name ? "page" : undefined}>${page.title}</a>`,
        )}
      </nav>
      <${Foot} />
    </header>
    <main class="main" id="main" ref=${main} tabindex="-1"><${Page} key=${name} page=${pages[name]} path=${path.slice(1)} /></main>
  </div>`;
}

function Foot() {
  const dark = useStore(theme) === "dark";
  return html`<div class="side-foot">
    <button type="button" class="button plain small" onClick=${toggleTheme}>${dark ? "Light" : "Dark"}</button>
    <button type="button" class="button plain small" onClick=${() => signOut()}>Sign out</button>
  </div>`;
}

// Page loads and shows a page. One that breaks says so, and leaves the navigation as it is.
function Page({ page, path }) {
  const [View, setView] = useState();
  const [missing, setMissing] = useState(false);
  const [broken] = useErrorBoundary((error) => console.error(error));
  useEffect(() => {
    page?.load().then((m) => setView(() => m.default), () => setMissing(true));
  }, [page]);
  if (!page) return html`<${Empty} title="There is no such page">Choose one from the navigation.<//>`;
  if (missing) return html`<${Empty} title="This page cannot be loaded">The server cannot be reached, or was replaced by another release. Reload the page.<//>`;
  if (broken) return html`<${Empty} title="This page has failed">That is a fault of the dashboard; nothing on the server has changed by it. Reload the page.<//>`;
  return View ? html`<${View} path=${path} />` : html`<${Loading} />`;
}
