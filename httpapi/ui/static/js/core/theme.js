// Light or dark: what the user chose, else what the system has. Only this choice is kept
// beyond the session.
import { store } from "./store.js";

const key = "tidemill.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

// theme is "light" or "dark", as it is shown.
export const theme = store("light");

export function applyTheme() {
  theme.set(chosen() ?? (system.matches ? "dark" : "light"));
  document.documentElement.dataset.theme = theme.get();
}

export function toggleTheme() {
  try {
    localStorage.setItem(key, theme.get() === "dark" ? "light" : "dark");
  } catch {
    return; // a browser that keeps nothing shows the system's
  }
  applyTheme();
}

function chosen() {
  try {
    const value = localStorage.getItem(key);
    return value === "light" || value === "dark" ? value : undefined;
  } catch {
    return undefined;
  }
}

system.addEventListener("change", applyTheme);
