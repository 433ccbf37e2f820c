// Messages and the dead letter queue, as their owner sees them.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import test from "node:test";
import { api, client, receiver, refused, until, users } from "./support.mjs";

const qstash = client(users.dlq);

// deadLetter publishes a message whose only attempt fails and waits for its end.
async function deadLetter(sink, path, message = {}) {
  const url = sink.url + path;
  const { messageId } = await qstash.publish({ url, body: "will fail", retries: 0, ...message });
  const item = await until("a dead letter", async () => {
    const { messages } = await qstash.dlq.listMessages({ filter: { url } });
    return messages.find((m) => m.messageId === messageId);
  });
  return { messageId, item };
}

const failing = (arrival) =>
  arrival.path.startsWith("/fail") ? { status: 404, headers: { "X-Why": "gone" }, body: "404 Not Found" } : undefined;

test("messages.get shows a waiting message, cancel ends it", async (t) => {
  const sink = await receiver(t);
  const before = Date.now();
  const { messageId } = await qstash.publish({
    url: `${sink.url}/later`,
    method: "PUT",
    body: "later",
    delay: "1h",
    retries: 7,
    retryDelay: "1000 * (1 + retried)",
    headers: { "Content-Type": "text/plain", "X-A": "b" },
  });

  const message = await qstash.messages.get(messageId);
  assert.equal(message.messageId, messageId);
  assert.equal(message.url, `${sink.url}/later`);
  assert.equal(message.method, "PUT");
  assert.equal(message.body, "later");
  assert.equal(message.maxRetries, 7);
  assert.equal(message.retryDelayExpression, "1000 * (1 + retried)");
  assert.deepEqual(message.header, { "Content-Type": ["text/plain"], "X-A": ["b"] });
  assert.ok(message.createdAt >= before && message.createdAt <= Date.now());
  const early = message.createdAt + 3_600_000 - message.notBefore; // notBefore is rounded up
  assert.ok(early === 0 || early === -1, `notBefore is ${early} ms before createdAt and an hour`);

  assert.deepEqual(await qstash.messages.cancel(messageId), { cancelled: 1 });
  await refused(qstash.messages.get(messageId), 404);
  await refused(qstash.messages.cancel(messageId), 404);
  assert.equal(sink.arrivals.length, 0);
});

test("a delivered message is gone", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await qstash.publish({ url: sink.url, body: "now" });
  await sink.arrived();
  await until("404", async () => (await api(users.dlq, "GET", `/v2/messages/${messageId}`)).status === 404);
});

test("a message of another user is as unknown as one that never was", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await qstash.publish({ url: sink.url, delay: "1h" });
  await refused(client(users.publish).messages.get(messageId), 404);
  await refused(client(users.publish).messages.cancel(messageId), 404);
  assert.deepEqual(await qstash.messages.cancel(messageId), { cancelled: 1 });
});

test("a failed message is a dead letter with its answer", async (t) => {
  const sink = await receiver(t, failing);
  const { messageId, item } = await deadLetter(sink, "/fail/1", { headers: { "X-A": "b" } });
  assert.equal(item.messageId, messageId);
  assert.match(item.dlqId, /^\d+-\d+$/);
  assert.equal(item.body, "will fail");
  assert.equal(item.responseStatus, 404);
  assert.equal(item.responseBody, "404 Not Found");
  assert.deepEqual(item.responseHeader["X-Why"], ["gone"]);
  assert.deepEqual(item.header["X-A"], ["b"]);

  const one = await api(users.dlq, "GET", `/v2/dlq/${item.dlqId}`);
  assert.equal(one.status, 200);
  assert.equal(one.json.messageId, messageId);
  assert.equal((await api(users.publish, "GET", `/v2/dlq/${item.dlqId}`)).status, 404);
});

test("489 with its header ends a message at once", async (t) => {
  const sink = await receiver(t, () => ({ status: 489, headers: { "Upstash-NonRetryable-Error": "true" } }));
  const { item } = await deadLetter(sink, "/never", { retries: 3 });
  assert.equal(item.responseStatus, 489);
  assert.equal(sink.arrivals.length, 1);
});

test("a destination that refuses connections leaves status 0", async (t) => {
  const sink = await receiver(t);
  await new Promise((closed) => sink.close(closed));
  const { item } = await deadLetter(sink, "/nobody");
  assert.equal(item.responseStatus, 0);
});

test("a retried dead letter is a new message and leaves the queue", async (t) => {
  let broken = true;
  const sink = await receiver(t, (arrival) => (broken ? failing(arrival) : undefined));
  const { messageId, item } = await deadLetter(sink, "/fail/2", { headers: { "X-A": "b" } });
  broken = false;

  const retried = await api(users.dlq, "POST", `/v2/dlq/retry/${item.dlqId}`);
  assert.equal(retried.status, 201);
  assert.notEqual(retried.json.messageId, messageId);

  const [, second] = await sink.arrived(2);
  assert.equal(second.headers["upstash-message-id"], retried.json.messageId);
  assert.equal(second.headers["upstash-retried"], "0");
  assert.equal(second.headers["x-a"], "b");
  assert.equal(second.body.toString(), "will fail");
  await refused(qstash.dlq.delete(item.dlqId), 404);
});

test("a dead letter can be deleted once", async (t) => {
  const sink = await receiver(t, failing);
  const { item } = await deadLetter(sink, "/fail/3");
  assert.deepEqual(await qstash.dlq.delete(item.dlqId), { deleted: 1 });
  await refused(qstash.dlq.delete(item.dlqId), 404);
  assert.equal((await api(users.dlq, "GET", `/v2/dlq/${item.dlqId}`)).status, 404);
});

test("the client retries one dead letter, and several", async (t) => {
  let broken = true;
  const sink = await receiver(t, (arrival) => (broken ? failing(arrival) : undefined));
  const dead = [];
  for (let i = 0; i < 3; i++) dead.push((await deadLetter(sink, `/fail/bulk-${i}`, { body: `body ${i}` })).item);
  broken = false;

  const one = await qstash.dlq.retry(dead[0].dlqId);
  assert.equal(one.cursor, undefined);
  const { responses } = await qstash.dlq.retry([dead[1].dlqId, dead[2].dlqId]);
  const ids = [...one.responses, ...responses].map((r) => r.messageId);
  assert.equal(new Set(ids).size, 3);

  const again = (await sink.arrived(6)).slice(3);
  assert.deepEqual(
    Object.fromEntries(again.map((a) => [a.headers["upstash-message-id"], [a.path, a.body.toString()]])),
    Object.fromEntries(ids.map((id, i) => [id, [`/fail/bulk-${i}`, `body ${i}`]])),
  );
  for (const { dlqId } of dead) await refused(qstash.dlq.delete(dlqId), 404);
  await refused(qstash.dlq.retry(dead[0].dlqId), 404);
});

test("an unknown id among those to retry: nothing is retried", async (t) => {
  const sink = await receiver(t, failing);
  const { item } = await deadLetter(sink, "/fail/kept");
  await refused(qstash.dlq.retry([item.dlqId, "1700000000000-1"]), 404, /1700000000000-1/);
  assert.deepEqual(await qstash.dlq.delete(item.dlqId), { deleted: 1 });
});

test("the client deletes several dead letters, and only those it names", async (t) => {
  const sink = await receiver(t, failing);
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push((await deadLetter(sink, "/fail/some")).item.dlqId);
  const listed = async () => {
    const { messages } = await qstash.dlq.listMessages({ dlqIds: ids });
    return messages.map((m) => m.dlqId).sort();
  };
  assert.deepEqual(await listed(), [...ids].sort());

  assert.deepEqual(await qstash.dlq.delete([ids[0], ids[1], "1700000000000-1"]), { deleted: 2 });
  assert.deepEqual(await listed(), ids.slice(2).sort());
  assert.deepEqual(await qstash.dlq.deleteMany({ dlqIds: [ids[1], ids[2]] }), { deleted: 1 });

  // The form of older clients and of the Python client.
  const byBody = await api(users.dlq, "DELETE", "/v2/dlq", { dlqIds: [ids[3]] });
  assert.deepEqual([byBody.status, byBody.json], [200, { deleted: 1 }]);
  assert.deepEqual(await listed(), []);
});

test("the list comes in pages", async (t) => {
  const sink = await receiver(t, failing);
  const wanted = new Set();
  for (let i = 0; i < 5; i++) wanted.add((await deadLetter(sink, "/fail/page")).item.dlqId);
  const seen = [];
  let cursor;
  do {
    const page = await qstash.dlq.listMessages({ count: 2, cursor, filter: { url: `${sink.url}/fail/page` } });
    assert.ok(page.messages.length <= 2);
    seen.push(...page.messages.map((m) => m.dlqId));
    cursor = page.cursor;
    assert.match(cursor ?? "1", /^\d+$/);
  } while (cursor);
  assert.equal(seen.length, 5);
  assert.deepEqual(new Set(seen), wanted);
});

// label draws a label that no other test has: files run at the same time.
const label = () => `label-${randomUUID()}`;

const hash = (text) => "REDACTED:" + createHash("sha256").update(text).digest("hex");

test("messages are canceled by filters, and only those that match", async (t) => {
  const sink = await receiver(t);
  const [mine, other] = [label(), label()];
  const later = async (options) => (await qstash.publish({ url: `${sink.url}/a`, body: "later", delay: "1h", ...options })).messageId;
  const waiting = async (...ids) => {
    const found = await Promise.all(ids.map((id) => api(users.dlq, "GET", `/v2/messages/${id}`)));
    return found.map((r) => r.status === 200);
  };
  const a = await later({ label: mine });
  const b = await later({ label: [other, mine], url: `${sink.url}/b` });
  const c = await later({ label: mine, flowControl: { key: mine, rate: 1 } });
  const d = await later({ label: other });
  const message = await qstash.messages.get(b);
  assert.deepEqual([message.label, message.labels], [other, [other, mine]]);

  assert.deepEqual(await qstash.messages.cancel({ filter: { label: mine, flowControlKey: mine } }), { cancelled: 1 });
  assert.deepEqual(await waiting(a, b, c, d), [true, true, false, true]);
  const { host } = new URL(sink.url);
  assert.deepEqual(await qstash.messages.cancel({ filter: { label: [mine, other], host, path: ["/b", "/none"] } }), { cancelled: 1 });
  assert.deepEqual(await waiting(a, b, c, d), [true, false, false, true]);
  await refused(qstash.messages.cancel({ filter: { labeel: mine } }), 400, /labeel/);
  assert.deepEqual(await qstash.messages.cancel({ filter: { label: label() } }), { cancelled: 0 });
  assert.deepEqual(await qstash.messages.cancel({ filter: { label: [mine, other], fromDate: message.createdAt - 60_000 }, count: 1 }), { cancelled: 1 });
  assert.deepEqual(await waiting(a, d), [false, true]);
  assert.deepEqual(await qstash.messages.cancel([a, d, "msg_unknown"]), { cancelled: 1 });
  assert.equal(sink.arrivals.length, 0);
});

test("the Python and the Go client cancel by a JSON body", async (t) => {
  const sink = await receiver(t);
  const mine = label();
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push((await qstash.publish({ url: sink.url, delay: "1h", label: mine })).messageId);
  const cancel = async (body) => {
    const { status, json } = await api(users.dlq, "DELETE", "/v2/messages", body);
    return [status, json.cancelled];
  };
  assert.deepEqual(await cancel({ messageIds: [ids[0], ids[1]] }), [200, 2]);
  assert.deepEqual(await cancel({ messageIds: [] }), [400, undefined]);
  assert.deepEqual(await cancel({ labeel: mine }), [400, undefined]);
  assert.deepEqual(await cancel({ label: mine, count: 1 }), [200, 1]);
  assert.deepEqual(await cancel({ label: [mine], url: sink.url }), [200, 1]);
});

test("dead letters are retried and deleted by filters", async (t) => {
  let broken = true;
  const sink = await receiver(t, (arrival) => (broken ? failing(arrival) : undefined));
  const [mine, other] = [label(), label()];
  for (let i = 0; i < 5; i++) await deadLetter(sink, `/fail/filter-${i}`, { label: i < 3 ? mine : other });
  const list = async (filter) => (await qstash.dlq.listMessages({ filter })).messages;
  const found = await list({ label: mine });
  assert.deepEqual(found.map((m) => [m.label, m.labels]), Array(3).fill([mine, [mine]]));

  await refused(qstash.dlq.delete({ filter: { labeel: mine } }), 400, /labeel/);
  await refused(qstash.dlq.delete({ filter: { label: mine, host: new URL(sink.url).host } }), 400, /host/);
  const none = await qstash.dlq.delete({ filter: { label: label() } });
  assert.deepEqual(none, { deleted: 0 });
  assert.deepEqual(await qstash.dlq.retry({ filter: { label: label() } }), { cursor: undefined, responses: [] });
  assert.equal((await list({ label: [mine, other] })).length, 5);

  broken = false;
  const ids = [];
  let cursor;
  do {
    const page = await qstash.dlq.retry({ filter: { label: mine }, count: 2, cursor });
    assert.ok(page.responses.length <= 2);
    ids.push(...page.responses.map((r) => r.messageId));
    cursor = page.cursor;
  } while (cursor);
  assert.equal(new Set(ids).size, 3);
  const again = (await sink.arrived(8)).slice(5);
  assert.deepEqual(new Set(again.map((a) => a.headers["upstash-message-id"])), new Set(ids));

  const deleted = await api(users.dlq, "DELETE", "/v2/dlq", { label: other, count: 100 });
  assert.deepEqual([deleted.status, deleted.json.deleted], [200, 2]);
  assert.equal((await list({ label: [mine, other] })).length, 0);
});

test("what is redacted is delivered and not shown", async (t) => {
  const sink = await receiver(t, failing);
  const secret = { "Content-Type": "text/plain", Authorization: "Bearer secret", "X-Open": "open" };
  const shown = { "Content-Type": ["text/plain"], Authorization: [hash("Bearer secret")], "X-Open": ["open"] };
  const redact = { body: true, header: ["authorization"] };

  const later = await qstash.publish({ url: sink.url, body: "secret body", headers: secret, redact, delay: "1h" });
  const message = await qstash.messages.get(later.messageId);
  assert.deepEqual([message.body, message.header], [hash("secret body"), shown]);
  await qstash.messages.cancel(later.messageId);

  const { item } = await deadLetter(sink, "/fail/redacted", { body: "secret body", headers: secret, redact });
  assert.deepEqual([item.body, item.header, item.responseBody], [hash("secret body"), shown, "404 Not Found"]);
  await qstash.dlq.retry(item.dlqId);
  for (const arrival of await sink.arrived(2)) {
    assert.equal(arrival.body.toString(), "secret body");
    assert.equal(arrival.headers.authorization, "Bearer secret");
  }

  const { scheduleId } = await qstash.schedules.create({
    destination: sink.url, cron: "0 0 1 1 *", body: "secret body", headers: secret, label: ["one", "two"], redact: { header: true },
  });
  const schedule = await qstash.schedules.get(scheduleId);
  assert.deepEqual([schedule.body, schedule.label, schedule.labels], ["secret body", "one", ["one", "two"]]);
  assert.deepEqual(schedule.header["X-Open"], [hash("open")]);
  await qstash.schedules.delete(scheduleId);
  await refused(qstash.publish({ url: sink.url, label: "not a name" }), 400, /Upstash-Label/);
});
