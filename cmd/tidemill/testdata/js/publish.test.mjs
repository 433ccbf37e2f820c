import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import test from "node:test";
import { client, receiver, users } from "./support.mjs";

const qstash = client(users.publish);
const byId = (messageId) => (arrival) => arrival.headers["upstash-message-id"] === messageId;

test("publish delivers method, path, query, headers and body", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await qstash.publish({
    url: `${sink.url}/a//b/%2F?x=1&y=%20z`,
    method: "PATCH",
    body: "plain text",
    headers: { "Content-Type": "text/x-test", "X-Custom": "one", Authorization: "Bearer theirs" },
  });
  assert.match(messageId, /^msg_\w+$/);

  const [arrival] = await sink.arrived();
  assert.equal(arrival.method, "PATCH");
  assert.equal(arrival.path, "/a//b/%2F?x=1&y=%20z");
  assert.equal(arrival.body.toString(), "plain text");
  assert.equal(arrival.headers["content-type"], "text/x-test");
  assert.equal(arrival.headers["x-custom"], "one");
  assert.equal(arrival.headers.authorization, "Bearer theirs");
  assert.equal(arrival.headers["upstash-message-id"], messageId);
  assert.equal(arrival.headers["upstash-retried"], "0");
  assert.equal(arrival.headers["upstash-region"], "EU-CENTRAL-1");
  assert.equal(arrival.headers["user-agent"], "Upstash-QStash");
  assert.ok(arrival.headers["upstash-signature"]);
});

for (const method of ["GET", "POST", "PUT", "DELETE"]) {
  test(`publish delivers with ${method}`, async (t) => {
    const sink = await receiver(t);
    await qstash.publish({ url: sink.url, method });
    const [arrival] = await sink.arrived();
    assert.equal(arrival.method, method);
  });
}

test("publishJSON sends JSON with its content type", async (t) => {
  const sink = await receiver(t);
  await qstash.publishJSON({ url: sink.url, body: { list: [1, "ü", null] } });
  const [arrival] = await sink.arrived();
  assert.equal(arrival.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(arrival.body), { list: [1, "ü", null] });
});

for (const [name, body] of [
  ["empty", Buffer.alloc(0)],
  ["every byte value", Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ["not UTF-8, 10 KB", randomBytes(10_000)],
  ["of exactly 1 MiB", randomBytes(1 << 20)],
]) {
  test(`a body ${name} arrives byte for byte and is what was signed`, async (t) => {
    const sink = await receiver(t);
    await qstash.publish({ url: sink.url, body });
    const [arrival] = await sink.arrived();
    assert.ok(arrival.body.equals(body), `${arrival.body.length} bytes arrived, ${body.length} were sent`);
    const claims = JSON.parse(Buffer.from(arrival.headers["upstash-signature"].split(".")[1], "base64url"));
    assert.equal(claims.body.replace(/=+$/, ""), createHash("sha256").update(body).digest("base64url"));
  });
}

test("batch answers in order and delivers each", async (t) => {
  const sink = await receiver(t);
  const answers = await qstash.batchJSON([
    { url: `${sink.url}/1`, body: { n: 1 } },
    { url: `${sink.url}/2`, body: { n: 2 }, headers: { "X-Which": "second" }, method: "PUT" },
    { url: `${sink.url}/3`, body: { n: 3 }, delay: 1 },
  ]);
  assert.equal(answers.length, 3);
  for (const [i, { messageId }] of answers.entries()) {
    const [arrival] = await sink.arrived(1, byId(messageId));
    assert.equal(arrival.path, `/${i + 1}`);
    assert.deepEqual(JSON.parse(arrival.body), { n: i + 1 });
  }
  const [second] = await sink.arrived(1, byId(answers[1].messageId));
  assert.equal(second.method, "PUT");
  assert.equal(second.headers["x-which"], "second");
});

test("one bad element of a batch fails alone", async (t) => {
  const sink = await receiver(t);
  const [good, bad] = await qstash.batch([
    { url: sink.url, body: "good" },
    { url: sink.url, body: "bad", delay: "banana" },
  ]);
  assert.ok(good.messageId);
  assert.match(bad.error, /delay/i);
  await sink.arrived(1, byId(good.messageId));
});

test("delay: not before its time", async (t) => {
  const sink = await receiver(t);
  const before = Date.now();
  await qstash.publish({ url: sink.url, body: "later", delay: "1s" });
  const [arrival] = await sink.arrived();
  assert.ok(arrival.at >= before + 1000, `arrived ${arrival.at - before} ms after the publish`);
});

test("delay in milliseconds", async (t) => {
  const sink = await receiver(t);
  const before = Date.now();
  await qstash.publish({ url: sink.url, body: "later", delay: "300ms" });
  const [arrival] = await sink.arrived();
  assert.ok(arrival.at >= before + 300, `arrived ${arrival.at - before} ms after the publish`);
});

test("notBefore: not before its time, and it wins over delay", async (t) => {
  const sink = await receiver(t);
  const at = Math.floor(Date.now() / 1000) + 2;
  await qstash.publish({ url: sink.url, body: "later", notBefore: at, delay: "1h" });
  const [arrival] = await sink.arrived();
  assert.ok(arrival.at >= at * 1000, `arrived ${at * 1000 - arrival.at} ms early`);
});

test("a receiver that fails twice gets it a third time, by the retryDelay given", async (t) => {
  const sink = await receiver(t, (_, n) => (n <= 2 ? { status: 503 } : undefined));
  const { messageId } = await qstash.publish({
    url: sink.url,
    body: "again",
    retries: 2,
    retryDelay: "200 * (1 + retried)",
  });
  const arrivals = await sink.arrived(3);
  assert.deepEqual(arrivals.map((a) => a.headers["upstash-retried"]), ["0", "1", "2"]);
  assert.ok(arrivals.every(byId(messageId)), "the id is the same for every attempt");
  assert.ok(arrivals.every((a) => a.body.toString() === "again"));
  assert.ok(arrivals[1].at - arrivals[0].at >= 200, `${arrivals[1].at - arrivals[0].at} ms after the first`);
  assert.ok(arrivals[2].at - arrivals[1].at >= 400, `${arrivals[2].at - arrivals[1].at} ms after the second`);
});

test("Retry-After of the receiver decides over retryDelay", async (t) => {
  const sink = await receiver(t, (_, n) => (n === 1 ? { status: 429, headers: { "Retry-After": "1" } } : undefined));
  await qstash.publish({ url: sink.url, body: "again", retries: 1, retryDelay: "3600000" });
  const [first, second] = await sink.arrived(2);
  assert.ok(second.at - first.at >= 1000, `${second.at - first.at} ms after the first`);
});

test("a redirect is not followed", async (t) => {
  const sink = await receiver(t, (arrival) =>
    arrival.path === "/from" ? { status: 302, headers: { Location: "/to" } } : undefined,
  );
  await qstash.publish({ url: `${sink.url}/from`, retries: 1, retryDelay: "1" });
  const arrivals = await sink.arrived(2);
  assert.deepEqual(arrivals.map((a) => a.path), ["/from", "/from"]);
});

test("a deduplication id is accepted once", async (t) => {
  const sink = await receiver(t);
  const deduplicationId = `suite-${randomBytes(8).toString("hex")}`;
  const first = await qstash.publish({ url: sink.url, body: "1", deduplicationId });
  const second = await qstash.publish({ url: sink.url, body: "2", deduplicationId });
  assert.ok(!first.deduplicated);
  assert.equal(second.deduplicated, true);
  assert.equal(second.messageId, first.messageId);
  await qstash.publish({ url: sink.url, body: "3" });
  const bodies = (await sink.arrived(2)).map((a) => a.body.toString()).sort();
  assert.deepEqual(bodies, ["1", "3"]);
});

test("content-based deduplication looks at destination, body and forwarded headers", async (t) => {
  const sink = await receiver(t);
  const message = { url: sink.url, body: randomBytes(8).toString("hex"), headers: { "X-A": "1" }, contentBasedDeduplication: true };
  const first = await qstash.publish(message);
  const same = await qstash.publish(message);
  assert.equal(same.deduplicated, true);
  assert.equal(same.messageId, first.messageId);
  for (const other of [
    { ...message, body: message.body + "!" },
    { ...message, headers: { "X-A": "2" } },
    { ...message, url: `${sink.url}/elsewhere` },
  ]) {
    assert.ok(!(await qstash.publish(other)).deduplicated);
  }
  await sink.arrived(4);
});

test("a duplicate in a batch names the original", async (t) => {
  const sink = await receiver(t);
  const deduplicationId = `suite-${randomBytes(8).toString("hex")}`;
  const original = await qstash.publish({ url: sink.url, body: "1", deduplicationId });
  const [duplicate, fresh] = await qstash.batch([
    { url: sink.url, body: "2", deduplicationId },
    { url: sink.url, body: "3" },
  ]);
  assert.deepEqual([duplicate.messageId, duplicate.deduplicated], [original.messageId, true]);
  assert.ok(fresh.messageId && !fresh.deduplicated);
});
