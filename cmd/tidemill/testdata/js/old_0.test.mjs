// @upstash/qstash 0.3.6, which speaks the first API alone (QSTASH.md §12.1).
import assert from "node:assert/strict";
import test from "node:test";
import * as library from "qstash-0.3";
import { deduplicates, delivers, oldClient, rejected, reports } from "./old.mjs";
import { api, receiver, until, users } from "./support.mjs";

const user = users.publish;
const qstash = oldClient(library, user);
const to = (url) => ({ url });

// The release sends its user's headers as they are, so the prefix is the user's to write.
test("0.3.6 delivers what it publishes, signed", async (t) => {
  await delivers(t, library, user, to, (h) => Object.fromEntries(Object.entries(h).map(([k, v]) => [`Upstash-Forward-${k}`, v])));
});

test("0.3.6: headers without the prefix stay here", async (t) => {
  const sink = await receiver(t);
  await qstash.publish({ url: sink.url, headers: { "My-Header": "one" } });
  const [arrival] = await sink.arrived();
  assert.equal(arrival.headers["my-header"], undefined);
  assert.equal(arrival.headers["user-agent"], "Upstash-QStash");
});

test("0.3.6 deduplicates", (t) => deduplicates(t, library, user, to));
test("0.3.6 gets callbacks", (t) => reports(t, library, user, to, { failure: false }));

test("0.3.6 gets and cancels a message", async () => {
  const { messageId } = await qstash.publish({
    url: "https://example.com/later",
    body: "x",
    notBefore: Math.floor(Date.now() / 1000) + 600,
    retries: 1,
    headers: { "Upstash-Forward-A": "b" },
  });
  const message = await qstash.messages.get({ id: messageId });
  assert.equal(message.messageId, messageId);
  assert.equal(message.url, "https://example.com/later");
  assert.equal(message.body, "x");
  assert.deepEqual(message.header.A, ["b"]);
  assert.deepEqual(await qstash.messages.delete({ id: messageId }), { status: "accepted" });
  await rejected(library, qstash.messages.delete({ id: messageId }), /not found/);
  assert.equal((await qstash.messages.tasks({ id: messageId })).tasks[0].state, "canceled");
});

test("0.3.6 creates, reads, updates and deletes topics and endpoints", async (t) => {
  const sink = await receiver(t);
  for (const name of ["js-old-0", "js-old-0-new"]) assert.deepEqual(await qstash.topics.delete({ name }), { status: "ok" });
  const topic = await qstash.topics.create({ name: "js-old-0" });
  assert.match(topic.id, /^tpc_/);
  assert.deepEqual([topic.name, topic.endpointIds], ["js-old-0", []]);
  const one = await qstash.endpoints.create({ url: `${sink.url}/1`, topicName: "js-old-0" });
  const two = await qstash.endpoints.create({ url: `${sink.url}/2`, topicName: "js-old-0" });
  assert.match(one.id, /^ept_/);
  assert.equal(one.url, `${sink.url}/1`);
  assert.equal(one.topicId, topic.id);
  assert.deepEqual((await qstash.topics.get({ name: "js-old-0" })).endpointIds, [one.id, two.id]);
  assert.deepEqual((await qstash.topics.get({ id: topic.id })).endpointIds, [one.id, two.id]);
  assert.ok((await qstash.topics.list()).some((found) => found.id === topic.id));
  assert.deepEqual((await qstash.endpoints.list()).filter((e) => e.topicId === topic.id).map((e) => e.id), [one.id, two.id]);

  const changed = await qstash.endpoints.update({ id: two.id, url: `${sink.url}/changed` });
  assert.deepEqual([changed.id, changed.url], [two.id, `${sink.url}/changed`]);
  assert.equal((await qstash.endpoints.get({ id: two.id })).url, `${sink.url}/changed`);

  for (const destination of ["js-old-0", topic.id]) {
    const { messageId } = await qstash.publishJSON({ topic: destination, body: { to: destination } });
    const arrived = await sink.arrived(2, (a) => JSON.parse(a.body).to === destination);
    assert.deepEqual(arrived.map((a) => a.path).sort(), ["/1", "/changed"]);
    assert.ok(arrived.some((a) => a.headers["upstash-message-id"] === messageId));
    assert.equal(arrived[0].headers["upstash-topic-name"], "js-old-0");
  }
  const later = await qstash.publish({ topic: topic.id, body: "x", delay: 600 });
  assert.equal((await qstash.messages.get({ id: later.messageId })).topicId, topic.id);
  await qstash.messages.delete({ id: later.messageId });

  assert.deepEqual(await qstash.endpoints.delete({ id: one.id }), { status: "ok" });
  assert.deepEqual(await qstash.endpoints.delete({ id: two.id }), { status: "ok" });
  await rejected(library, qstash.endpoints.get({ id: one.id }), /not found/);
  const renamed = await qstash.topics.update({ id: topic.id, name: "js-old-0-new" });
  assert.deepEqual([renamed.id, renamed.name, renamed.endpointIds], [topic.id, "js-old-0-new", []]);
  assert.equal((await qstash.topics.get({ id: topic.id })).name, "js-old-0-new");
  assert.deepEqual(await qstash.topics.delete({ id: renamed.id }), { status: "ok" });
  await rejected(library, qstash.topics.get({ name: "js-old-0-new" }), /topic js-old-0-new not found/);
  await rejected(library, qstash.publish({ topic: "js-old-0" }), /topic js-old-0 not found/);
});

test("0.3.6 makes, reads and deletes schedules", async () => {
  const { scheduleId } = await qstash.publishJSON({ url: "https://example.com/tick", cron: "0 0 1 1 *", body: { tick: true }, retries: 2 });
  const schedule = await qstash.schedules.get({ id: scheduleId });
  assert.equal(typeof schedule.createdAt, "number");
  assert.deepEqual(
    { ...schedule, createdAt: 0 },
    {
      scheduleId,
      cron: "0 0 1 1 *",
      createdAt: 0,
      content: { header: { "Content-Type": ["application/json"] }, body: '{"tick":true}' },
      destination: { type: "url", url: "https://example.com/tick" },
      settings: { retries: 2 },
    },
  );
  assert.ok((await qstash.schedules.list()).some((s) => s.scheduleId === scheduleId));
  assert.deepEqual(await qstash.schedules.delete({ id: scheduleId }), { status: "accepted" });
  await rejected(library, qstash.schedules.get({ id: scheduleId }), /not found/);
  await rejected(library, qstash.publish({ url: "https://example.com", cron: "every day" }), /Upstash-Cron/);
});

test("0.3.6 lists messages, logs and tasks", async (t) => {
  const sink = await receiver(t, ({ path }) => (path === "/bad" ? { status: 500 } : undefined));
  const good = await qstash.publish({ url: `${sink.url}/good`, body: "x" });
  const bad = await qstash.publish({ url: `${sink.url}/bad`, retries: 0 });
  const ids = [good.messageId, bad.messageId];
  const many = await Promise.all(Array.from({ length: 40 }, () => qstash.publish({ url: `${sink.url}/many` })));
  await until("tasks", async () => (await qstash.messages.tasks({ id: bad.messageId })).tasks[0]?.state === "failed");
  const { tasks } = await qstash.messages.tasks({ id: bad.messageId });
  assert.deepEqual(tasks.map((k) => [k.url, k.maxRetry, k.retried, k.messageId]), [[`${sink.url}/bad`, 0, 0, bad.messageId]]);
  assert.match(tasks[0].taskId, /^tsk_/);
  const { logs } = await qstash.messages.logs({ id: bad.messageId });
  assert.deepEqual(logs.map((l) => l.state), ["failed", "error", "active", "created"]);
  assert.ok(logs.every((l) => l.messageId === bad.messageId && l.taskId === tasks[0].taskId && typeof l.time === "number"));

  // The client's own documentation goes through its pages so.
  const all = await until("logs", async () => {
    const found = [];
    for (let cursor = Date.now() + 1000; cursor > 0; ) {
      const page = await qstash.logs({ cursor });
      assert.ok(page.logs.length <= 100);
      found.push(...page.logs);
      assert.ok(page.cursor === undefined || Number.isSafeInteger(page.cursor));
      cursor = page.cursor ?? 0;
    }
    return many.every((m) => found.some((l) => l.messageId === m.messageId && l.state === "delivered")) && found;
  });
  assert.ok(all.length > 100);
  assert.deepEqual(all.filter((l) => l.messageId === good.messageId).map((l) => l.state), ["delivered", "active", "created"]);
  const key = (l) => `${l.messageId} ${l.state}`;
  assert.equal(new Set(all.filter((l) => many.some((m) => m.messageId === l.messageId)).map(key)).size, 120);

  const listed = [];
  for (let cursor; !ids.every((id) => listed.some((m) => m.messageId === id)); ) {
    const page = await qstash.messages.list({ cursor });
    listed.push(...page.messages);
    cursor = page.cursor;
    if (!cursor) break;
  }
  const message = listed.find((m) => m.messageId === good.messageId);
  assert.deepEqual([message.url, message.body, message.header], [`${sink.url}/good`, "x", { "Content-Type": ["text/plain;charset=UTF-8"] }]);
  const events = await api(user, "GET", `/v1/events?messageId=${bad.messageId}`);
  assert.deepEqual(events.json.events.map((e) => e.state), ["failed", "error", "active", "created"]);
  assert.ok(events.json.events.every((e) => e.id && e.taskId === tasks[0].taskId && e.url === `${sink.url}/bad`));
  assert.equal((await api(user, "GET", `/v1/tasks/${tasks[0].taskId}`)).json.state, "failed");
});

test("what 0.3.6 has no call for", async () => {
  const keys = await api(user, "GET", "/v1/keys");
  assert.deepEqual(keys, { status: 200, json: { current: user.currentSigningKey, next: user.nextSigningKey } });
  const quota = await api(user, "GET", "/v1/quota");
  assert.equal(quota.json.maxMessageSize, 1048576);
});
