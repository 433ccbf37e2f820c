// URL groups (QSTASH.md §8.5): what the client changes of them, and what they publish.
import assert from "node:assert/strict";
import test from "node:test";
import { Receiver } from "@upstash/qstash";
import { api, client, receiver, refused, users } from "./support.mjs";

const user = users.dlq;
const qstash = client(user);

async function group(t, name, endpoints) {
  await qstash.urlGroups.delete(name);
  await qstash.urlGroups.addEndpoints({ name, endpoints });
  t.after(() => qstash.urlGroups.delete(name));
}

test("endpoints come, change and go", async (t) => {
  const before = Date.now();
  await group(t, "js-life", [{ url: "https://example.com/1", name: "First endpoint" }, { url: "https://example.com/2" }]);
  const made = await qstash.urlGroups.get("js-life");
  assert.equal(made.name, "js-life");
  assert.deepEqual(made.endpoints, [{ name: "First endpoint", url: "https://example.com/1" }, { url: "https://example.com/2" }]);
  assert.ok(made.createdAt >= before && made.updatedAt >= made.createdAt);
  await qstash.urlGroups.addEndpoints({ name: "js-life", endpoints: [{ url: "https://example.com/3" }, { url: "https://example.com/2" }] });
  assert.deepEqual((await qstash.urlGroups.get("js-life")).endpoints.map((e) => e.url.at(-1)), ["1", "2", "3"]);
  assert.ok((await qstash.urlGroups.list()).some((g) => g.name === "js-life" && g.endpoints.length === 3));
  await qstash.urlGroups.removeEndpoints({ name: "js-life", endpoints: [{ name: "First endpoint" }, { url: "https://example.com/3" }] });
  assert.deepEqual((await qstash.urlGroups.get("js-life")).endpoints, [{ url: "https://example.com/2" }]);
  await qstash.urlGroups.removeEndpoints({ name: "js-life", endpoints: [{ url: "https://example.com/2" }] });
  await refused(qstash.urlGroups.get("js-life"), 404, /topic js-life not found/);
});

test("a message goes to each endpoint, signed for it", async (t) => {
  const sink = await receiver(t);
  await group(t, "js-fan", [{ url: `${sink.url}/a` }, { url: `${sink.url}/b`, name: "b" }]);
  const answer = await qstash.publishJSON({ urlGroup: "js-fan", body: { hello: "all" }, headers: { "X-Own": "y" } });
  assert.deepEqual(answer.map((m) => m.url), [`${sink.url}/a`, `${sink.url}/b`]);
  const verifier = new Receiver({ currentSigningKey: user.currentSigningKey, nextSigningKey: user.nextSigningKey, devMode: false });
  for (const arrival of await sink.arrived(2)) {
    const message = answer.find((m) => m.url === sink.url + arrival.path);
    assert.equal(arrival.headers["upstash-message-id"], message.messageId);
    assert.equal(arrival.headers["upstash-topic-name"], "js-fan");
    assert.equal(arrival.headers["x-own"], "y");
    assert.deepEqual(JSON.parse(arrival.body), { hello: "all" });
    assert.ok(await verifier.verify({ signature: arrival.headers["upstash-signature"], body: arrival.body.toString(), url: message.url }));
  }
});

test("each endpoint has retries of its own", async (t) => {
  const sink = await receiver(t, (arrival, n) => (arrival.path === "/bad" && arrival.headers["upstash-retried"] === "0" ? { status: 500 } : undefined));
  await group(t, "js-retry", [{ url: `${sink.url}/good` }, { url: `${sink.url}/bad` }]);
  await qstash.publish({ urlGroup: "js-retry", body: "x", retryDelay: "50" });
  const arrivals = await sink.arrived(3);
  assert.deepEqual(arrivals.map((a) => a.path).sort(), ["/bad", "/bad", "/good"]);
});

test("batches nest the answers of groups; queues and schedules take groups", async (t) => {
  const sink = await receiver(t);
  await group(t, "js-any", [{ url: `${sink.url}/1` }, { url: `${sink.url}/2` }]);
  const [fan, one] = await qstash.batch([{ urlGroup: "js-any", body: "b" }, { url: `${sink.url}/3`, body: "b" }]);
  assert.equal(fan.length, 2);
  assert.ok(one.messageId);
  await sink.arrived(3);

  const queue = qstash.queue({ queueName: "js-any" });
  t.after(() => queue.delete());
  const queued = await queue.enqueue({ urlGroup: "js-any", body: "q" });
  const inQueue = await sink.arrived(2, (a) => a.body.toString() === "q");
  assert.deepEqual(inQueue.map((a) => a.headers["upstash-message-id"]), queued.map((m) => m.messageId));

  const { scheduleId } = await qstash.schedules.create({ destination: "js-any", cron: "0 0 1 1 *" });
  t.after(() => qstash.schedules.delete(scheduleId));
  assert.equal((await qstash.schedules.get(scheduleId)).destination, "js-any");
});

test("a deduplication id counts for all endpoints", async (t) => {
  const sink = await receiver(t);
  await group(t, "js-once", [{ url: `${sink.url}/1` }, { url: `${sink.url}/2` }]);
  const message = { urlGroup: "js-once", body: "x", deduplicationId: `once-${Date.now()}` };
  const first = await qstash.publish(message);
  const second = await qstash.publish(message);
  assert.deepEqual(second.map((m) => m.messageId), first.map((m) => m.messageId));
  assert.ok(second.every((m) => m.deduplicated) && !first.some((m) => m.deduplicated));
  await sink.arrived(2);
  assert.equal(sink.arrivals.length, 2);
});

test("the defaults of a group apply to what webhooks publish to it", async (t) => {
  const sink = await receiver(t);
  await group(t, "js-hook", [{ url: `${sink.url}/hook` }]);
  const set = await api(user, "PATCH", "/v2/topics/js-hook", { headers: { "Upstash-Header-Forward": ["true"], "Upstash-Retries": "1" } });
  assert.equal(set.status, 200);
  const token = encodeURIComponent(user.token);
  const { baseUrl } = await import("./support.mjs");
  const response = await fetch(`${baseUrl}/v2/publish/js-hook?qstash_token=${token}`, { method: "POST", body: "{}", headers: { "X-GitHub-Event": "push" } });
  assert.equal(response.status, 200);
  assert.equal((await response.json()).length, 1);
  const [arrival] = await sink.arrived();
  assert.equal(arrival.headers["x-github-event"], "push");
  assert.equal(arrival.headers.authorization, undefined);
});

test("what is wrong is refused", async () => {
  await refused(qstash.publish({ urlGroup: "js-nobody", body: "x" }), 404, /topic js-nobody not found/);
  await refused(qstash.urlGroups.removeEndpoints({ name: "js-nobody", endpoints: [{ name: "x" }] }), 404, /js-nobody/);
  await refused(qstash.urlGroups.addEndpoints({ name: "a b", endpoints: [{ url: "https://example.com" }] }), 400, /URL group/);
  await refused(qstash.urlGroups.addEndpoints({ name: "js-bad", endpoints: [{ url: "example.com" }] }), 400, /endpoint 0/);
  const many = Array.from({ length: 101 }, (_, i) => ({ url: `https://example.com/${i}` }));
  await refused(qstash.urlGroups.addEndpoints({ name: "js-bad", endpoints: many }), 412, /endpoint/i);
  await refused(qstash.urlGroups.get("js-bad"), 404);
});
