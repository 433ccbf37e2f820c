// usePolled fetches what changes by itself, again and again while the tab is seen: { data, error,
// loading, reload }. What was there stays when an attempt fails.
import { useCallback, useState } from "../lib.js";
import { isAbort } from "./api.js";
import { usePoll } from "./visible.js";

export function usePolled(fetchIt, ms, deps) {
  const [state, setState] = useState({ loading: true });
  const [turn, setTurn] = useState(0);
  usePoll(async (signal) => {
    try {
      const data = await fetchIt(signal);
      if (!signal.aborted) setState({ data, loading: false });
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) setState((s) => ({ ...s, error, loading: false }));
    }
  }, ms, [...deps, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { ...state, reload };
}
