// Flow control (QSTASH.md §8.7), through the client's API for it.
import assert from "node:assert/strict";
import test from "node:test";
import { api, client, receiver, refused, until, users } from "./support.mjs";

const user = users.schedules;
const qstash = client(user);

test("a rate holds across destinations", async (t) => {
  const sink = await receiver(t);
  const flowControl = { key: "js-rate", rate: 2, period: "1h" };
  for (let i = 0; i < 4; i++) await qstash.publish({ url: `${sink.url}/${i % 2}`, body: String(i), flowControl });
  const key = await until("two that began", async () => {
    const now = await qstash.flowControl.get("js-rate");
    return now.rateCount === 2 && now;
  });
  assert.deepEqual(Object.keys(key), [
    "flowControlKey", "waitListSize", "parallelismMax", "parallelismCount", "rateMax", "rateCount",
    "ratePeriod", "ratePeriodStart", "isPaused", "isPinnedParallelism", "isPinnedRate",
  ]);
  assert.deepEqual([key.flowControlKey, key.rateMax, key.rateCount, key.ratePeriod], ["js-rate", 2, 2, 3600]);
  assert.ok(Math.abs(key.ratePeriodStart - Date.now() / 1000) < 3700);
  await sink.arrived(2);
  await until("two that wait", async () => (await qstash.flowControl.get("js-rate")).waitListSize === 2);
  assert.equal(sink.arrivals.length, 2);
  await qstash.flowControl.resetRate("js-rate");
  await sink.arrived(4);
});

test("parallelism bounds what is in flight", async (t) => {
  let open = 0;
  let most = 0;
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const { createServer } = await import("node:http");
  const server = createServer(async (request, response) => {
    most = Math.max(most, ++open);
    await gate;
    open--;
    response.end();
  }).listen(0, "127.0.0.1");
  t.after(() => server.closeAllConnections() ?? server.close());
  await new Promise((resolve) => server.on("listening", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  for (let i = 0; i < 5; i++) await qstash.publish({ url, body: "x", flowControl: { key: "js/par allel", parallelism: 2 } });
  await until("two in flight", async () => (await qstash.flowControl.get("js/par allel")).parallelismCount === 2);
  const key = await qstash.flowControl.get("js/par allel");
  assert.deepEqual([key.parallelismMax, key.waitListSize, key.ratePeriod], [2, 3, 1]);
  release();
  await until("none in flight", async () => {
    const now = await api(user, "GET", "/v2/flowControl/js%2Fpar%20allel");
    return now.status === 404 || now.json.parallelismCount + now.json.waitListSize === 0;
  });
  assert.equal(most, 2);
});

test("a message shows its limits", async (t) => {
  const { messageId } = await qstash.publish({ url: "https://example.com", delay: "1h", flowControl: { key: "js-shown", parallelism: 3, rate: 5, period: 90 } });
  t.after(() => qstash.messages.cancel(messageId));
  const { flowControlKey, parallelism, rate, period } = await qstash.messages.get(messageId);
  assert.deepEqual({ flowControlKey, parallelism, rate, period }, { flowControlKey: "js-shown", parallelism: 3, rate: 5, period: 90 });
});

test("pause and resume, pin and unpin", async (t) => {
  const sink = await receiver(t);
  const { flowControl } = qstash;
  await flowControl.pause("js-pin");
  await flowControl.pin("js-pin", { parallelism: 7, rate: 9, period: 60 });
  await qstash.publish({ url: sink.url, body: "x", flowControl: { key: "js-pin", rate: 1, parallelism: 1 } });
  const pinned = await flowControl.get("js-pin");
  assert.deepEqual(
    [pinned.isPaused, pinned.isPinnedParallelism, pinned.isPinnedRate, pinned.parallelismMax, pinned.rateMax, pinned.ratePeriod, pinned.waitListSize],
    [true, true, true, 7, 9, 60, 1],
  );
  assert.equal(sink.arrivals.length, 0);
  await flowControl.resume("js-pin");
  await sink.arrived();
  await flowControl.unpin("js-pin", { rate: true });
  const half = await flowControl.get("js-pin");
  assert.deepEqual([half.isPaused, half.isPinnedParallelism, half.isPinnedRate, half.rateMax], [false, true, false, 9]);
  await qstash.publish({ url: sink.url, body: "x", flowControl: { key: "js-pin", rate: 2, parallelism: 1 } });
  const set = await flowControl.get("js-pin");
  assert.deepEqual([set.rateMax, set.parallelismMax], [2, 7]);
  await flowControl.unpin("js-pin", { parallelism: true });
});

test("global parallelism, and what is refused", async () => {
  const { parallelismMax, parallelismCount } = await qstash.flowControl.getGlobalParallelism();
  assert.ok(parallelismMax >= 1 && parallelismCount >= 0);
  await refused(qstash.flowControl.get("js-never"), 404);
  await refused(qstash.flowControl.pin("js-never", {}), 400, /parallelism/);
  await refused(qstash.flowControl.pin("js-never", { parallelism: 0 }), 400, /parallelism/);
  await refused(qstash.flowControl.pin("js-never", { rate: 1, period: 8 * 86_400 }), 400, /period/);
  await refused(qstash.publish({ url: "https://example.com", flowControl: { key: "js-never", rate: -1 } }), 400, /rate/);
  await refused(qstash.publish({ url: "https://example.com", flowControl: { key: "js-never", rate: 1, period: "8d" } }), 400, /period/);
  const listed = await api(user, "GET", "/v2/flowControl?search=js-nev");
  assert.deepEqual(listed.json, []);
});
