// useLoad fetches what a page shows: { data, error, loading, reload }. A newer call ends an
// older one, and what was there stays while it is fetched again.
import { useCallback, useEffect, useState } from "../lib.js";
import { isAbort } from "./api.js";

export function useLoad(fetchIt, deps) {
  const [state, setState] = useState({ loading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const control = new AbortController();
    setState((s) => ({ ...s, loading: true }));
    fetchIt(control.signal).then(
      (data) => !control.signal.aborted && setState({ data, loading: false }),
      (error) => !isAbort(error) && !control.signal.aborted && setState({ error, loading: false }),
    );
    return () => control.abort();
  }, [...deps, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { ...state, reload };
}
