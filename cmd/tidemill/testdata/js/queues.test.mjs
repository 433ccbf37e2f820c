// Queues (QSTASH.md §3.9, §8.4), as the client makes, fills, pauses and deletes them.
import assert from "node:assert/strict";
import test from "node:test";
import { api, client, receiver, refused, until, users } from "./support.mjs";

const user = users.publish;
const qstash = client(user);

test("upsert, get, list, delete", async () => {
  const before = Date.now();
  const queue = qstash.queue({ queueName: "js-life" });
  await queue.upsert({ parallelism: 3 });
  const made = await queue.get();
  assert.deepEqual(
    { ...made, createdAt: 0, updatedAt: 0 },
    { name: "js-life", parallelism: 3, createdAt: 0, updatedAt: 0, lag: 0, paused: false },
  );
  assert.ok(made.createdAt >= before && made.createdAt <= Date.now());
  await queue.upsert({ parallelism: 1, paused: true });
  const changed = await queue.get();
  assert.deepEqual([changed.parallelism, changed.paused, changed.createdAt], [1, true, made.createdAt]);
  assert.ok((await qstash.queue().list()).some((q) => q.name === "js-life"));
  await queue.delete();
  await queue.delete();
  await refused(queue.get(), 404);
});

test("messages of a queue arrive in their order, retries included", async (t) => {
  const failures = new Set(["2", "5"]);
  const sink = await receiver(t, (arrival) => (failures.delete(arrival.body.toString()) ? { status: 500 } : undefined));
  const queue = qstash.queue({ queueName: "js-order" });
  t.after(() => queue.delete());
  const ids = [];
  for (let i = 0; i < 8; i++) {
    ids.push((await queue.enqueue({ url: `${sink.url}//n?i=${i}`, body: String(i), retryDelay: "100" })).messageId);
  }
  const arrivals = await sink.arrived(10);
  assert.deepEqual(arrivals.map((a) => a.body.toString()), ["0", "1", "2", "2", "3", "4", "5", "5", "6", "7"]);
  assert.deepEqual([...new Set(arrivals.map((a) => a.headers["upstash-message-id"]))], ids);
  assert.equal(arrivals[0].path, "//n?i=0");
  assert.deepEqual(arrivals.map((a) => a.headers["upstash-retried"]), ["0", "0", "0", "1", "0", "0", "0", "1", "0", "0"]);
  await until("an empty queue", async () => (await queue.get()).lag === 0);
  assert.equal((await queue.get()).parallelism, 1);
});

test("a paused queue takes messages and delivers none", async (t) => {
  const sink = await receiver(t);
  const queue = qstash.queue({ queueName: "js-paused" });
  t.after(() => queue.delete());
  await queue.upsert({ parallelism: 2 });
  await queue.pause();
  await queue.pause();
  const { messageId } = await queue.enqueueJSON({ url: sink.url, body: { n: 1 } });
  await queue.enqueueJSON({ url: sink.url, body: { n: 2 } });
  const paused = await queue.get();
  assert.deepEqual([paused.lag, paused.paused, paused.parallelism], [2, true, 2]);
  assert.equal((await qstash.messages.get(messageId)).queueName, "js-paused");
  assert.equal(sink.arrivals.length, 0);
  await queue.resume();
  const bodies = (await sink.arrived(2)).map((a) => JSON.parse(a.body).n);
  assert.deepEqual(bodies.sort(), [1, 2]);
});

test("a batch fills queues", async (t) => {
  const sink = await receiver(t);
  const queue = qstash.queue({ queueName: "js-batch" });
  t.after(() => queue.delete());
  await queue.upsert({ parallelism: 1, paused: true });
  const answers = await qstash.batchJSON([
    { url: `${sink.url}/queued`, body: { n: 1 }, queueName: "js-batch" },
    { url: `${sink.url}/direct`, body: { n: 2 } },
  ]);
  assert.equal(answers.length, 2);
  assert.equal((await sink.arrived())[0].path, "/direct");
  assert.equal((await queue.get()).lag, 1);
  await queue.resume();
  assert.equal((await sink.arrived(2))[1].headers["upstash-message-id"], answers[0].messageId);
});

test("a deleted queue drops what was waiting", async (t) => {
  const sink = await receiver(t);
  const queue = qstash.queue({ queueName: "js-dropped" });
  await queue.upsert({ paused: true });
  const { messageId } = await queue.enqueue({ url: sink.url, body: "x" });
  await queue.delete();
  await until("404", async () => (await api(user, "GET", `/v2/messages/${messageId}`)).status === 404);
  assert.equal(sink.arrivals.length, 0);
});

test("names and limits are checked", async () => {
  await refused(qstash.queue({ queueName: "a b" }).upsert({ parallelism: 1 }), 400, /queueName/);
  await refused(qstash.queue({ queueName: "q" }).upsert({ parallelism: 0 }), 400, /parallelism/);
  await refused(qstash.queue({ queueName: "q" }).upsert({ parallelism: 1e6 }), 412, /parallelism/i);
  await refused(qstash.queue({ queueName: "a:b" }).enqueue({ url: "https://example.com" }), 400, /queue name/);
  assert.equal((await api(user, "DELETE", "/v2/queues/")).status, 400);
});
