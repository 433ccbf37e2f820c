// A value that components share: who uses it is drawn again when it is set.
import { useEffect, useState } from "../lib.js";

export function store(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watch of [...watchers]) watch(value);
    },
    watch(fn) {
      watchers.add(fn);
      return () => watchers.delete(fn);
    },
  };
}

export function useStore(s) {
  const [value, setValue] = useState(s.get());
  useEffect(() => {
    setValue(s.get()); // it may have been set between drawing and here
    return s.watch(setValue);
  }, [s]);
  return value;
}
