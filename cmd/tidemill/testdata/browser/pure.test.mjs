// What the dashboard's modules compute, in the browser that runs them.
import assert from "node:assert/strict";
import test from "node:test";
import { visit } from "./support.mjs";

// inModule runs fn in the page with a module of the dashboard.
async function inModule(page, name, fn, ...args) {
  const main = await page.locator("script[type=module]").getAttribute("src");
  const url = new URL(main.replace("js/main.js", name), page.url()).href;
  return page.evaluate(`import(${JSON.stringify(url)}).then((m) => (${fn})(m, ...${JSON.stringify(args)}))`);
}

test("JSON is laid out and not changed", async (t) => {
  const page = await visit(t);
  const pretty = (text) => inModule(page, "js/core/bytes.js", "(m, text) => m.prettyOf(text) ?? null", text);
  for (const [text, want] of [
    ["{}", "{}"],
    ["[ ]", "[]"],
    ['{"a":[1,{"b":[]}],"c":"x, {y}: \\"z\\\\"}', '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": "x, {y}: \\"z\\\\"\n}'],
    ['{"id":12345678901234567890,"id":1.10}', '{\n  "id": 12345678901234567890,\n  "id": 1.10\n}'],
    ["no JSON", undefined],
    ['"a text"', undefined],
  ]) {
    assert.equal((await pretty(text)) ?? undefined, want, text);
  }
});

test("curl commands are one word for each text", async (t) => {
  const page = await visit(t);
  const command = await inModule(page, "js/core/curl.js", "(m, request) => m.curlOf(request)", {
    method: "POST", path: "/v2/dlq", query: { label: ["a", "b c"], none: "" }, headers: { "X-A": "it's" }, body: "$(x) 'y'\n",
  });
  assert.ok(command.includes("/v2/dlq?label=a&label=b+c'"), command);
  assert.ok(command.includes(`-H 'X-A: it'\\''s'`), command);
  assert.ok(command.includes(`--data-binary '$(x) '\\''y'\\''\n'`), command);
});

test("durations and rates are short", async (t) => {
  const page = await visit(t);
  const spans = await inModule(page, "js/core/format.js", "(m, list) => list.map((ms) => m.span(ms))", [0, 0.25, 12.34, 1500, 61_000, 3_600_000, 90_061_000]);
  assert.deepEqual(spans, ["0 µs", "250 µs", "12.3 ms", "1.5 s", "1m 1s", "1h", "1d 1h"]);
});

test("an attempt's time is split, and a life told in steps", async (t) => {
  const page = await visit(t);
  const at = (attempt, state, more = {}) => ({ time: 1000, state, tidemill: { attempt }, ...more });
  const steps = await inModule(page, "js/core/timeline.js", "(m, events) => m.stepsOf(events).map((s) => s.kind + ' ' + s.title + ' ' + s.tone)", [
    { time: 1000, state: "CREATED", nextDeliveryTime: 2000 },
    at(1, "ACTIVE"), at(1, "ERROR", { error: "no" }), at(1, "RETRY", { nextDeliveryTime: 3000 }),
    at(2, "ACTIVE"), at(2, "ERROR"), at(2, "FAILED"),
  ]);
  assert.deepEqual(steps, [
    "created Created ", "wait Waiting for its time ", "attempt Attempt 1 warn", "wait Waiting for the next attempt warn",
    "attempt Attempt 2 bad", "end Given up bad",
  ]);
  const parts = await inModule(page, "js/core/timeline.js", "(m, t) => m.partsOf(t).map((p) => p.ms)", { queue: 5000, flowControl: 2000, dns: 100, connect: 200, tls: 300, firstByte: 1600, total: 2000 });
  assert.deepEqual(parts, [3, 2, 0.1, 0.2, 0.3, 1, 0.4]);
});
