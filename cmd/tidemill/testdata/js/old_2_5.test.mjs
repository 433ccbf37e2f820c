// @upstash/qstash 2.5.2: batches, queues, and several dead letters at once, named in a body
// (QSTASH.md §12.2).
import assert from "node:assert/strict";
import test from "node:test";
import * as library from "qstash-2.5";
import { deduplicates, delivers, dies, fansOut, oldClient, rejected, remembers, reports, schedules, verified, waits } from "./old.mjs";
import { receiver, until, users } from "./support.mjs";

const user = users.publish;
const qstash = oldClient(library, user);
const to = (url) => ({ url });
const letters = async (client) => (await client.dlq.listMessages()).messages;

test("2.5.2 delivers what it publishes, signed", (t) => delivers(t, library, user, to, (h) => h));
test("2.5.2 deduplicates", (t) => deduplicates(t, library, user, to));
test("2.5.2 gets callbacks and failure callbacks", (t) => reports(t, library, user, to, { failure: true }));
test("2.5.2 gets and cancels messages", () => waits(library, user, to));
test("2.5.2 changes topics and publishes to them", (t) => fansOut(t, library, user, "js-old-2-5", (topic) => ({ topic })));
test("2.5.2 reads events", (t) => remembers(t, library, user, to, (client, cursor) => client.events({ cursor })));
test("2.5.2 makes, reads and deletes schedules", () => schedules(library, user));

test("2.5.2 publishes batches", async (t) => {
  const sink = await receiver(t);
  const answers = await qstash.batchJSON([
    { url: `${sink.url}/1`, body: { n: 1 }, headers: { "My-Header": "one" } },
    { url: `${sink.url}/2`, body: { n: 2 } },
  ]);
  for (const [i, { messageId }] of answers.entries()) {
    const [arrival] = await sink.arrived(1, (a) => a.headers["upstash-message-id"] === messageId);
    assert.equal(arrival.path, `/${i + 1}`);
    assert.equal(arrival.headers["my-header"], i === 0 ? "one" : undefined);
    assert.deepEqual(JSON.parse(arrival.body), { n: i + 1 });
    await verified(library, user, arrival, sink.url + arrival.path);
  }
});

test("2.5.2 makes queues and enqueues", async (t) => {
  const sink = await receiver(t);
  const queue = qstash.queue({ queueName: "js-old-2-5" });
  t.after(() => queue.delete());
  await queue.upsert({ parallelism: 2 });
  const { name, parallelism, lag, createdAt, updatedAt } = await queue.get();
  assert.deepEqual([name, parallelism, lag, typeof createdAt, typeof updatedAt], ["js-old-2-5", 2, 0, "number", "number"]);
  assert.ok((await queue.list()).some((q) => q.name === "js-old-2-5"));
  const { messageId } = await queue.enqueueJSON({ url: sink.url, body: { in: "queue" } });
  const [arrival] = await sink.arrived();
  assert.equal(arrival.headers["upstash-message-id"], messageId);
  await queue.delete();
  await rejected(library, queue.get(), /not found/);
});

test("2.5.2 filters events", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await qstash.publish({ url: sink.url, body: "x" });
  const read = async (filter) => (await qstash.events({ filter })).events;
  await until("delivery", async () => (await read({ messageId })).length === 3);
  assert.deepEqual((await read({ messageId, state: "DELIVERED" })).map((e) => e.url), [sink.url]);
  assert.deepEqual((await read({ url: sink.url })).map((e) => e.messageId), [messageId, messageId, messageId]);
  assert.deepEqual(await read({ url: sink.url, state: "FAILED" }), []);
});

test("2.5.2 deletes dead letters, one and several", async (t) => {
  const dead = [];
  for (let i = 0; i < 3; i++) dead.push(await dies(t, library, user, to, letters));
  await qstash.dlq.delete(dead[0].dlqId);
  assert.deepEqual(await qstash.dlq.deleteMany({ dlqIds: dead.map((m) => m.dlqId) }), { deleted: 2 });
  const left = await letters(qstash);
  assert.ok(!left.some((m) => dead.some((d) => d.dlqId === m.dlqId)));
});
