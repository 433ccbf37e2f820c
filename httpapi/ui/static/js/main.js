// Where the browser begins: the theme first, so that nothing flashes, then the application.
import { html, render } from "./lib.js";
import { applyTheme } from "./core/theme.js";
import { App } from "./app.js";

applyTheme();
render(html`<${App} />`, document.getElementById("app"));
