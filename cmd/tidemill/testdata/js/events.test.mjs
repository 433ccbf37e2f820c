// History, as users of the client read it: client.logs and the older client.events.
import assert from "node:assert/strict";
import test from "node:test";
import { api, client, receiver, refused, until, users } from "./support.mjs";

const qstash = client(users.schedules);

// story is what happened to a message, earliest first; the client lists it the other way.
async function story(messageId, end) {
  return until(`${end} of ${messageId}`, async () => {
    const { logs, events, cursor } = await qstash.logs({ filter: { messageId } });
    assert.equal(cursor, undefined);
    assert.equal(logs, events);
    return logs[0]?.state === end && logs.reverse();
  });
}

const states = (logs) => logs.map((log) => log.state);

test("logs tell how a message was delivered", async (t) => {
  const sink = await receiver(t);
  const before = Date.now();
  const { messageId } = await qstash.publish({ url: `${sink.url}/ok`, body: "hello", label: ["a", "b"], headers: { "X-A": "b" } });
  const logs = await story(messageId, "DELIVERED");
  assert.deepEqual(states(logs), ["CREATED", "ACTIVE", "DELIVERED"]);
  for (const log of logs) {
    assert.equal(log.messageId, messageId);
    assert.equal(log.url, `${sink.url}/ok`);
    assert.equal(Buffer.from(log.body, "base64").toString(), "hello");
    assert.deepEqual(log.header["X-A"], ["b"]);
    assert.deepEqual([log.label, log.labels], ["a", ["a", "b"]]);
    assert.ok(log.time >= before && log.time <= Date.now());
  }
  assert.deepEqual(states((await qstash.events({ filter: { messageId, state: "DELIVERED" } })).events), ["DELIVERED"]);
});

test("logs tell how a message was tried again, failed or was canceled", async (t) => {
  const sink = await receiver(t, (_, n) => ({ status: n === 1 ? 503 : 200, body: "answer" }));
  const retried = await qstash.publish({ url: sink.url, retries: 1, retryDelay: "0" });
  const logs = await story(retried.messageId, "DELIVERED");
  assert.deepEqual(states(logs), ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED"]);
  assert.match(logs[2].error, /503/);
  assert.equal(logs[2].responseStatus, 503);
  assert.equal(Buffer.from(logs[2].responseBody, "base64").toString(), "answer");
  assert.ok(logs[3].nextDeliveryTime >= logs[2].time);

  const failing = await receiver(t, () => ({ status: 500 }));
  const failed = await qstash.publish({ url: failing.url, retries: 0 });
  assert.deepEqual(states(await story(failed.messageId, "FAILED")), ["CREATED", "ACTIVE", "ERROR", "FAILED"]);

  const later = await qstash.publish({ url: sink.url, delay: "1h" });
  assert.deepEqual(states(await story(later.messageId, "CREATED")), ["CREATED"]);
  await qstash.messages.cancel(later.messageId);
  assert.deepEqual(states(await story(later.messageId, "CANCELED")), ["CREATED", "CANCEL_REQUESTED", "CANCELED"]);
});

test("every filter of the client selects", async (t) => {
  const sink = await receiver(t);
  const url = `${sink.url}/filtered`;
  const from = Date.now();
  const { messageId } = await qstash.publish({ url, delay: "1h", label: "wanted", flowControl: { key: "events", parallelism: 1 } });
  const inQueue = await qstash.queue({ queueName: "events" }).enqueue({ url: `${url}/queue`, delay: "1h" });
  await qstash.urlGroups.addEndpoints({ name: "events", endpoints: [{ url: `${url}/group` }] });
  const [inGroup] = await qstash.publish({ urlGroup: "events", delay: "1h" });
  await qstash.publish({ url: `${url}/other`, delay: "1h" });
  const host = new URL(sink.url).host;
  const cases = [
    [{ messageId }, messageId],
    [{ url }, messageId],
    [{ label: "wanted" }, messageId],
    [{ flowControlKey: "events", fromDate: from }, messageId],
    [{ queueName: "events", fromDate: from }, inQueue.messageId],
    [{ urlGroup: "events", host }, inGroup.messageId],
    [{ host, path: "/filtered" }, messageId],
    [{ host, path: ["/filtered/queue", "/none"], state: "CREATED" }, inQueue.messageId],
    [{ host, fromDate: from, toDate: Date.now(), callerIp: "127.0.0.1", path: "/filtered/group" }, inGroup.messageId],
    [{ host, state: "IN_PROGRESS" }, undefined],
    [{ host, fromDate: Date.now() + 60_000 }, undefined],
  ];
  for (const [filter, want] of cases) {
    const { logs } = await qstash.logs({ filter });
    assert.deepEqual(logs.map((log) => log.messageId), want ? [want] : [], JSON.stringify(filter));
  }
  const { logs } = await qstash.logs({ messageIds: [messageId, inGroup.messageId] });
  assert.deepEqual(logs.map((log) => log.messageId), [inGroup.messageId, messageId]);
  assert.equal(logs[0].urlGroup, "events");
  await refused(qstash.logs({ filter: { state: "SENT" } }), 400, /state/);
  const ids = logs.map((log) => log.messageId);
  assert.deepEqual((await api(users.rotate, "GET", `/v2/logs?messageIds=${ids}`)).json, { events: [], logs: [] });
});

// The loop is the one of the client's own documentation.
test("a loop over all pages, which begins with a cursor of now, sees everything once", async (t) => {
  const sink = await receiver(t);
  const path = "/paged";
  const sent = [];
  for (let i = 0; i < 7; i++) sent.push((await qstash.publish({ url: sink.url + path, delay: "1h" })).messageId);
  const host = new URL(sink.url).host;
  const seen = [];
  let cursor = Date.now() + 1;
  while (cursor > 0) {
    const page = await qstash.logs({ cursor, count: 2, filter: { host } });
    assert.ok(page.logs.length <= 2);
    seen.push(...page.logs.map((log) => log.messageId));
    cursor = page.cursor ?? 0;
  }
  assert.deepEqual(seen, sent.reverse());
});
