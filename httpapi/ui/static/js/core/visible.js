// Whether anybody looks. A tab that is hidden makes no request: what polls and streams here
// stops, and goes on when the tab is shown again.
import { useEffect, useRef } from "../lib.js";
import { store, useStore } from "./store.js";

export const visible = store(!document.hidden);
document.addEventListener("visibilitychange", () => visible.set(!document.hidden));

export const useVisible = () => useStore(visible);

// usePoll calls fn(signal) at once and then ms after each end, while the tab is visible. It
// begins anew when one of deps changes. fn tells its own failures.
export function usePoll(fn, ms, deps) {
  const shown = useVisible();
  const latest = useRef(fn);
  latest.current = fn;
  useEffect(() => {
    if (!shown) return undefined;
    const control = new AbortController();
    let timer;
    const turn = async () => {
      await latest.current(control.signal);
      if (!control.signal.aborted) timer = setTimeout(turn, ms);
    };
    turn();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [shown, ms, ...deps]);
}
