// @upstash/qstash 2.7.0 and 2.7.23, the first and the last of the releases that still name
// in a body what they cancel and delete (QSTASH.md §12.2).
import assert from "node:assert/strict";
import test from "node:test";
import * as first from "qstash-2.7.0";
import * as last from "qstash-2.7.23";
import { deduplicates, delivers, dies, fansOut, oldClient, rejected, remembers, reports, schedules, verified, waits } from "./old.mjs";
import { receiver, users } from "./support.mjs";

const user = users.schedules;
const to = (url) => ({ url });

for (const [version, library] of [["2.7.0", first], ["2.7.23", last]]) {
  const qstash = oldClient(library, user);
  const name = `js-old-${version}`;

  test(`${version} delivers what it publishes, signed`, (t) => delivers(t, library, user, to, (h) => h));
  test(`${version} deduplicates`, (t) => deduplicates(t, library, user, to));
  test(`${version} gets callbacks and failure callbacks`, (t) => reports(t, library, user, to, { failure: true }));
  test(`${version} gets and cancels messages`, () => waits(library, user, to));
  test(`${version} changes topics and publishes to them`, (t) => fansOut(t, library, user, name, (topic) => ({ topic })));
  test(`${version} publishes to URL groups`, (t) => fansOut(t, library, user, `${name}-group`, (urlGroup) => ({ urlGroup })));
  test(`${version} makes, reads and deletes schedules`, () => schedules(library, user));

  test(`${version} cancels several messages`, async () => {
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await qstash.publish({ url: "https://example.com/later", delay: 600 })).messageId);
    assert.equal(await qstash.messages.deleteMany(ids.slice(0, 2)), 2);
    assert.equal(await qstash.messages.deleteMany(ids), 1);
    for (const id of ids) await rejected(library, qstash.messages.get(id), /not found/);
  });

  test(`${version} reads and filters events`, async (t) => {
    const { good, bad } = await remembers(t, library, user, to, (client, cursor) => client.events({ cursor }));
    const read = async (filter) => (await qstash.events({ filter })).events.map((e) => [e.messageId, e.state]);
    // Arrays are joined with commas.
    assert.deepEqual(await read({ messageId: bad.messageId, state: ["ERROR", "FAILED"] }), [[bad.messageId, "FAILED"], [bad.messageId, "ERROR"]]);
    assert.deepEqual(await read({ messageId: [good.messageId, bad.messageId], state: "CREATED", fromDate: -1, toDate: Date.now() }), [
      [bad.messageId, "CREATED"],
      [good.messageId, "CREATED"],
    ]);
    assert.deepEqual(await read({ messageId: good.messageId, urlGroup: "js-old-nobody" }), []);
  });

  test(`${version} names, pauses and resumes schedules`, async (t) => {
    t.after(() => qstash.schedules.delete(name));
    const { scheduleId } = await qstash.schedules.create({ destination: "https://example.com", cron: "0 0 1 1 *", scheduleId: name, timeout: 30 });
    assert.equal(scheduleId, name);
    await qstash.schedules.pause({ schedule: name });
    assert.equal((await qstash.schedules.get(name)).isPaused, true);
    await qstash.schedules.resume({ schedule: name });
    assert.equal((await qstash.schedules.get(name)).isPaused, false);
  });

  test(`${version} publishes batches, also into queues`, async (t) => {
    const sink = await receiver(t);
    t.after(() => qstash.queue({ queueName: name }).delete());
    const answers = await qstash.batchJSON([
      { url: `${sink.url}/1`, body: { n: 1 }, headers: { "My-Header": "one" } },
      { url: `${sink.url}/2`, body: { n: 2 }, queueName: name },
    ]);
    for (const [i, { messageId }] of answers.entries()) {
      const [arrival] = await sink.arrived(1, (a) => a.headers["upstash-message-id"] === messageId);
      assert.equal(arrival.path, `/${i + 1}`);
      assert.deepEqual(JSON.parse(arrival.body), { n: i + 1 });
      await verified(library, user, arrival, sink.url + arrival.path);
    }
    assert.equal((await qstash.queue({ queueName: name }).get()).parallelism, 1);
  });

  test(`${version} makes, pauses and resumes queues`, async (t) => {
    const sink = await receiver(t);
    const queue = qstash.queue({ queueName: `${name}-paused` });
    t.after(() => queue.delete());
    await queue.upsert({ parallelism: 3, paused: true });
    const { paused, parallelism, lag } = await queue.get();
    assert.deepEqual([paused, parallelism, lag], [true, 3, 0]);
    const { messageId } = await queue.enqueueJSON({ url: sink.url, body: { in: "queue" } });
    assert.equal((await qstash.messages.get(messageId)).queueName, `${name}-paused`);
    assert.equal(sink.arrivals.length, 0);
    await queue.resume();
    await sink.arrived();
    await queue.pause();
    assert.equal((await queue.get()).paused, true);
    assert.ok((await queue.list()).some((q) => q.name === `${name}-paused`));
    await queue.delete();
    await rejected(library, queue.get(), /not found/);
  });

  test(`${version} filters, deletes dead letters`, async (t) => {
    const byUrl = (url) => async (client) => (await client.dlq.listMessages({ filter: { url }, count: 10 })).messages;
    const dead = [];
    for (let i = 0; i < 3; i++) {
      let url;
      const here = (destination) => to((url = destination));
      dead.push(await dies(t, library, user, here, (client) => byUrl(url)(client)));
    }
    for (const { dlqId, url } of dead) assert.deepEqual((await byUrl(url)(qstash)).map((m) => m.dlqId), [dlqId]);
    await qstash.dlq.delete(dead[0].dlqId);
    assert.deepEqual(await qstash.dlq.deleteMany({ dlqIds: dead.map((m) => m.dlqId) }), { deleted: 2 });
    for (const { url } of dead) assert.deepEqual(await byUrl(url)(qstash), []);
    await rejected(library, qstash.dlq.delete(dead[0].dlqId), /not found/);
  });
}

test("2.7.23 reads logs with cursors that are text", async (t) => {
  const { bad } = await remembers(t, last, user, to, (client, cursor) => client.logs({ cursor: `${cursor}` }));
  const { logs } = await oldClient(last, user).logs({ filter: { messageId: bad.messageId } });
  assert.deepEqual(logs.map((l) => l.state), ["FAILED", "ERROR", "ACTIVE", "CREATED"]);
});

test("2.7.23 takes durations as text, and limits a key", async (t) => {
  const qstash = oldClient(last, user);
  const { messageId } = await qstash.publish({
    url: "https://example.com/later",
    delay: "1h30m",
    timeout: "20s",
    flowControl: { key: "js-old-key", parallelism: 4, ratePerSecond: 5 },
  });
  t.after(() => qstash.messages.delete(messageId));
  const message = await qstash.messages.get(messageId);
  assert.equal(Math.round((message.notBefore - message.createdAt) / 1000), 5400);
  assert.deepEqual([message.flowControlKey, message.parallelism, message.ratePerSecond], ["js-old-key", 4, 5]);
  await assert.rejects(qstash.publish({ url: "https://example.com", timeout: "banana" }), { name: "QstashError", status: 400 });
});
