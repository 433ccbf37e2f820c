// Messages and the dead letter queue, as their owner sees them.
import assert from "node:assert/strict";
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

  await refused(qstash.dlq.delete({ filter: { url: `${sink.url}/fail/some` } }), 501);
  await refused(qstash.dlq.delete({ all: true }), 501);
  await refused(qstash.dlq.retry({ all: true }), 501);
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
