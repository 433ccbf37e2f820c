// The stream of events, GET /v2/logs/stream, read by fetch because an EventSource cannot send a
// token. A stream that is cut goes on where it was; one of a hidden tab is closed.
import { useEffect, useRef, useState } from "../lib.js";
import { ApiError, isAbort, open } from "./api.js";
import { useVisible } from "./visible.js";

const pauseFirst = 1000; // ms before the first new try; each next waits twice as long
const pauseMost = 30_000;

// frames splits server-sent events into { id, data } as they come.
async function* frames(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) yield frameOf(part);
  }
}

function frameOf(text) {
  const frame = { data: "" };
  for (const line of text.split("\n")) {
    if (line.startsWith("id: ")) frame.id = line.slice(4);
    if (line.startsWith("data: ")) frame.data += line.slice(6);
  }
  return frame;
}

// follow reads the stream until signal ends it. onState hears "connecting", "live" and
// "broken", onEvents lists of events; at most one call of it every 200 ms.
async function follow(query, { onEvents, onState, last, signal }) {
  let pause = pauseFirst;
  while (!signal.aborted) {
    try {
      onState("connecting");
      const headers = last.id ? { "Last-Event-ID": last.id } : {};
      const response = await open({ path: "/v2/logs/stream", query, headers }, signal);
      onState("live");
      pause = pauseFirst;
      await collect(frames(response), onEvents, last);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 429) {
        onState("refused");
        return; // asking again would not help
      }
    }
    onState("broken");
    await sleep(pause, signal);
    pause = Math.min(2 * pause, pauseMost);
  }
}

// collect hands events over in lists: a busy account has thousands a second, and one drawing
// for each would be the end of the page.
async function collect(source, onEvents, last) {
  let batch = [];
  let timer;
  const flush = () => {
    timer = undefined;
    if (batch.length > 0) onEvents(batch);
    batch = [];
  };
  try {
    for await (const frame of source) {
      if (frame.id) last.id = frame.id;
      if (frame.data) batch.push(JSON.parse(frame.data));
      timer ??= setTimeout(flush, 200);
    }
  } finally {
    clearTimeout(timer);
    flush();
  }
}

const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

// useEvents follows the stream with the filters of query while the tab is visible and on is
// true. It returns the stream's state: "off", "paused", "connecting", "live", "broken" or "refused".
export function useEvents(query, onEvents, on = true) {
  const shown = useVisible();
  const [state, setState] = useState(on ? "connecting" : "off");
  const latest = useRef(onEvents);
  latest.current = onEvents;
  const key = JSON.stringify(query);
  const last = useRef({});
  useEffect(() => {
    last.current = {}; // other filters, another stream
  }, [key, on]);
  useEffect(() => {
    if (!on || !shown) {
      setState(on ? "paused" : "off");
      return undefined;
    }
    const control = new AbortController();
    follow(query, {
      onEvents: (list) => !control.signal.aborted && latest.current(list),
      onState: (s) => !control.signal.aborted && setState(s),
      last: last.current,
      signal: control.signal,
    });
    return () => control.abort();
  }, [key, on, shown]);
  return state;
}
